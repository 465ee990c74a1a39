"""Figures on laws and their approximations: the set-up, the two directions of KL, the family in between, EP."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from elbo.figures import style

__all__ = ["alpha_family", "clutter", "decomposition", "mean_field", "power_path", "two_modes"]

NAME = {"exact": "target p", "exclusive": "KL(q‖p)", "inclusive": "KL(p‖q)", "ep": "EP"}


def decomposition(data: pd.DataFrame) -> Figure:
    """From :func:`elbo.experiments.blei_2017.setup.decomposition`: bound, gap and evidence, and the bound as a free
    energy."""
    figure, axes = style.new(1, 3, height=2.7)
    for axis, (model, rows) in zip(axes[0], data.groupby("model", sort=False)):
        name, latents = model.split(" (")
        style.panel(axis, f"{name.capitalize()}:\n{latents.rstrip(')')}", "scale of q / exact posterior", "nats")
        _bound(axis, rows)
    _free_energy(axes[0, 2], data[data["model"] == data["model"].iloc[0]])
    return figure


def _bound(axis: Axes, rows: pd.DataFrame) -> None:
    evidence = rows["log_evidence"].iloc[0]
    axis.plot(rows["scale"], rows["elbo"], color=style.COLOUR["exclusive"])
    axis.plot(rows["scale"], rows["log_evidence"], color=style.COLOUR["exact"])
    style.guide(
        axis.fill_between(
            rows["scale"], rows["elbo"], rows["log_evidence"], color=style.COLOUR["exclusive"], alpha=0.15, linewidth=0
        )
    )
    low = rows["elbo"].min()
    axis.set_ylim(low - 0.05 * (evidence - low), evidence + 0.16 * (evidence - low))
    axis.annotate(
        "log p(x)", (1.0, evidence), xytext=(0, 3), textcoords="offset points", ha="center", fontsize=style.SMALL
    )
    at = rows.iloc[(rows["scale"] - 2.05).abs().argmin()]
    axis.annotate(
        "ELBO",
        (at["scale"], at["elbo"]),
        xytext=(-6, -7),
        textcoords="offset points",
        ha="right",
        fontsize=style.SMALL,
        color=style.COLOUR["exclusive"],
    )
    axis.annotate(
        "KL",
        (at["scale"], (at["elbo"] + evidence) / 2),
        xytext=(2, 0),
        textcoords="offset points",
        ha="center",
        va="center",
        fontsize=style.SMALL,
        color=style.COLOUR["exclusive"],
    )
    _scale_ticks(axis)


def _free_energy(axis: Axes, rows: pd.DataFrame) -> None:
    style.panel(axis, "The same bound,\nas physics reads it", "scale of q / exact posterior", "nats")
    lines = (
        ("energy", "energy E[U]", style.COLOUR["energy"], "--"),
        ("entropy", "entropy H[q]", style.COLOUR["entropy"], "-."),
    )
    labels = []
    for column, label, colour, line in lines:
        axis.plot(rows["scale"], rows[column], color=colour, linestyle=line)
        labels.append((rows["scale"].iloc[-1], rows[column].iloc[-1], label, colour))
    axis.plot(rows["scale"], rows["free_energy"], color=style.COLOUR["exclusive"])
    labels.append(
        (rows["scale"].iloc[-1], rows["free_energy"].iloc[-1], "free energy\n= −ELBO", style.COLOUR["exclusive"])
    )
    style.end_labels(axis, labels, gap=0.16)
    _scale_ticks(axis)


def _scale_ticks(axis: Axes) -> None:
    axis.set_xscale("log")
    axis.set_xticks([0.25, 0.5, 1, 2], ["¼", "½", "1", "2"])
    axis.minorticks_off()


def mean_field(data: pd.DataFrame) -> Figure:
    """From :func:`elbo.experiments.blei_2017.divergences.correlated_gaussian`: figure 1 of the paper and its variance
    against correlation."""
    figure, axes = style.new(1, 2, height=3.2, width_ratios=(1.35, 1))
    plane, variance = axes[0]
    for law, rows in data[data["part"] == "ellipse"].groupby("law", sort=False):
        plane.plot(rows["z1"], rows["z2"], color=style.COLOUR[law], linestyle=style.LINE[law])
    path = data[data["part"] == "path"]
    plane.plot(path["z1"], path["z2"], color=style.COLOUR["exclusive"], linewidth=0.8, marker=".", markersize=3)
    style.panel(plane, "Two standard deviations", "$z_1$", "$z_2$").set_aspect("equal", adjustable="datalim")
    for law, place, text in (
        ("exact", (2.1, 1.75), "target p"),
        ("exclusive", (0.8, -0.95), "mean-field,\nKL(q‖p)"),
        ("inclusive", (1.75, -1.6), "moment matching,\nKL(p‖q)"),
    ):
        plane.annotate(text, place, color=style.COLOUR[law], fontsize=style.SMALL)
    plane.annotate("path of CAVI", (-1.75, 1.6), color=style.COLOUR["exclusive"], fontsize=style.SMALL)

    for law, part in data[data["part"] == "variance"].groupby("law", sort=False):
        variance.plot(
            part["correlation"], part["closed_form"], color=style.COLOUR[law], linestyle=style.LINE[law], linewidth=1.0
        )
        variance.plot(
            part["correlation"], part["variance"], color=style.COLOUR[law], linestyle="", marker=style.MARKER[law]
        )
    style.panel(variance, "Variance of $z_1$ under q (exact: 1)", "correlation of the target", "variance")
    variance.set_ylim(0, 1.15)
    variance.annotate(
        "moment matching: $\\Sigma_{11}$", (0.02, 1.05), color=style.COLOUR["inclusive"], fontsize=style.SMALL
    )
    variance.annotate(
        "mean-field: $1/\\Lambda_{11} = 1-\\rho^2$", (0.02, 0.45), color=style.COLOUR["exclusive"], fontsize=style.SMALL
    )
    return figure


def two_modes(data: pd.DataFrame) -> Figure:
    """From :func:`elbo.experiments.blei_2017.divergences.two_modes`: the nearest Gaussians, and the landscape that each
    direction sees."""
    figure, axes = style.new(1, 2, height=2.8)
    densities, landscape = axes[0]
    dotted = (0, (1, 1))
    looks = {
        "exact": ("exact", "-"),
        "exclusive": ("exclusive", "-"),
        "exclusive-second": ("exclusive", dotted),
        "exclusive-third": ("exclusive", dotted),
        "inclusive": ("inclusive", "--"),
    }
    for law, rows in data[data["part"] == "density"].groupby("law", sort=False):
        meaning, line = looks[law]
        densities.plot(
            rows["z"],
            rows["value"],
            color=style.COLOUR[meaning],
            linestyle=line,
            linewidth=2.2 if law == "exact" else 1.4,
        )
    style.panel(densities, "The nearest Gaussian", "z", "density").set_ylim(0, 0.93)
    optima = data[data["part"] == "optimum"].set_index("law")
    for law, (x, y), text in (
        ("exclusive", (-1.8, 0.8), "KL(q‖p), best"),
        ("exclusive", (2.0, 0.49), "KL(q‖p),\nother local optima"),
        ("inclusive", (-3.0, 0.12), "KL(p‖q)"),
        ("exact", (-2.6, 0.36), "target p"),
    ):
        densities.annotate(
            text, (x, y), ha="center" if x > -2 else "right", fontsize=style.SMALL, color=style.COLOUR[law]
        )
    for law, rows in data[data["part"] == "profile"].groupby("law", sort=False):
        landscape.plot(rows["z"], rows["value"], color=style.COLOUR[law], linestyle=style.LINE[law])
    for law, row in optima.iterrows():
        meaning = looks[law][0]
        landscape.plot(
            row["z"],
            row["value"],
            marker=style.MARKER[meaning],
            linestyle="",
            markersize=6,
            color=style.COLOUR[meaning],
            markerfacecolor=style.COLOUR[meaning] if law in ("exclusive", "inclusive") else "white",
        )
    style.panel(
        landscape, "What each direction sees", "mean of q (its deviation at its best)", "least divergence (nats)"
    )
    landscape.set_ylim(0, 4)
    landscape.annotate(
        "KL(q‖p):\nseveral wells", (0.1, 2.55), ha="center", fontsize=style.SMALL, color=style.COLOUR["exclusive"]
    )
    landscape.annotate(
        "KL(p‖q):\none well", (0.9, 0.2), ha="left", fontsize=style.SMALL, color=style.COLOUR["inclusive"]
    )
    return figure


def alpha_family(data: pd.DataFrame) -> Figure:
    """From :func:`elbo.experiments.blei_2017.divergences.alpha_family`: densities along the family, and the optimum's
    moments."""
    figure, axes = style.new(1, 2, height=2.8)
    densities, moments = axes[0]
    ramp = LinearSegmentedColormap.from_list(
        "exclusive to inclusive", [style.COLOUR["exclusive"], "#8f8f8f", style.COLOUR["inclusive"]]
    )
    target = data[data["part"] == "exact"]
    densities.plot(target["z"], target["value"], color=style.COLOUR["exact"], linewidth=2.2)
    for alpha, rows in data[data["part"] == "density"].groupby("alpha"):
        densities.plot(rows["z"], rows["value"], color=ramp(alpha), linewidth=1.3)
    style.panel(densities, "The nearest Gaussian", "z", "density").set_ylim(0, 0.93)
    densities.annotate(
        "a = 0: KL(q‖p)", (-1.8, 0.8), ha="center", fontsize=style.SMALL, color=style.COLOUR["exclusive"]
    )
    densities.annotate(
        "a = 1: KL(p‖q)", (0.35, 0.235), ha="left", fontsize=style.SMALL, color=style.COLOUR["inclusive"]
    )
    optimum = data[data["part"] == "optimum"]
    for column, label, place in (("mean", "mean", -0.27), ("sd", "standard deviation", 1.9)):
        moments.scatter(
            optimum["alpha"], optimum[column], c=ramp(optimum["alpha"]), s=14, marker="o" if column == "sd" else "s"
        )
        exact = target[column].iloc[0]
        style.guide(moments.axhline(exact, **style.GUIDE))
        moments.annotate(
            f"{label} of p",
            (0.0, exact),
            xytext=(0, 3),
            textcoords="offset points",
            fontsize=style.SMALL,
            color=style.GREY,
        )
    moments.annotate("standard deviation of q", (0.02, 0.68), fontsize=style.SMALL)
    moments.annotate("mean of q", (0.02, -1.65), fontsize=style.SMALL)
    style.panel(moments, "The optimum leaves the mode in one jump", "a", "units of z").set_ylim(-2.1, 2.4)
    return figure


def clutter(data: pd.DataFrame) -> Figure:
    """From :func:`elbo.experiments.blei_2017.clutter.clutter`: one posterior, its sites, and the deviations over all
    data sets."""
    figure, axes = style.new(1, 3, height=2.8)
    density, sites, spread = axes[0]
    for law, rows in data[data["part"] == "density"].groupby("law", sort=False):
        density.plot(
            rows["z"],
            rows["value"],
            color=style.COLOUR[law],
            linestyle=style.LINE[law],
            linewidth=2.2 if law == "exact" else 1.5,
        )
    style.panel(density, "Posterior", "z", "density")
    density.set_ylim(0, density.get_ylim()[1] * 1.3)
    for height, (law, text) in zip(
        (0.94, 0.86, 0.78), (("exact", "integral"), ("ep", "EP"), ("exclusive", "best ELBO"))
    ):
        density.annotate(text, (0.03, height), xycoords="axes fraction", color=style.COLOUR[law], fontsize=style.SMALL)

    rows = data[data["part"] == "site"]
    style.guide(sites.axhline(0, **style.GUIDE))
    for sign, mask in (("s", rows["value"] < 0), ("o", rows["value"] >= 0)):
        sites.scatter(
            rows.loc[mask, "z"],
            rows.loc[mask, "value"],
            color=style.COLOUR["ep"],
            marker=sign,
            s=22,
            facecolor="white" if sign == "s" else None,
        )
    style.panel(sites, "Precision of each EP site", "observation $x_n$", "precision")
    sites.annotate(
        "□ negative:\npulls mass apart",
        (0.03, 0.86),
        xycoords="axes fraction",
        fontsize=style.SMALL,
        color=style.COLOUR["ep"],
    )

    solved = data[(data["part"] == "data set") & data["converged"].fillna(False).astype(bool)]
    both = solved.groupby("data_set")["law"].transform("nunique") == 2
    wide = solved[both].pivot(index="data_set", columns="law", values="sd_ratio")
    style.guide(spread.axhline(1, **style.GUIDE))
    for _, pair in wide.iterrows():
        style.guide(spread.plot([0, 1], pair[["exclusive", "ep"]], color="#c8c8c8", linewidth=0.7, zorder=1)[0])
    for place, law in enumerate(("exclusive", "ep")):
        style.guide(
            spread.plot(
                [place] * len(wide),
                wide[law],
                color=style.COLOUR[law],
                marker=style.MARKER[law],
                linestyle="",
                alpha=0.7,
            )[0]
        )
    spread.set_xticks([0, 1], ["best ELBO", "EP"])
    spread.set_xlim(-0.4, 1.4)
    style.panel(spread, "Deviation / exact deviation", "", "ratio")
    return figure


def power_path(data: pd.DataFrame) -> Figure:
    """From :func:`elbo.experiments.blei_2017.clutter.power_path`: deviation and evidence between variational Bayes and
    EP."""
    figure, axes = style.new(1, 2, height=2.6)
    exact = data[data["law"] == "exact"].iloc[0]
    bound = data[data["law"] == "exclusive"]
    path = data[data["law"] == "ep"]
    for axis, column, title, unit in (
        (axes[0, 0], "sd", "Posterior standard deviation", "units of z"),
        (axes[0, 1], "log_evidence", "Log evidence, or its estimate", "nats"),
    ):
        style.guide(axis.axhline(exact[column], **style.GUIDE))
        axis.plot(path["power"], path[column], color=style.COLOUR["ep"], marker=style.MARKER["ep"])
        axis.plot(
            bound["power"],
            bound[column],
            color=style.COLOUR["exclusive"],
            marker=style.MARKER["exclusive"],
            markersize=7,
            linestyle="",
        )
        style.panel(axis, title, "power η", unit)
        axis.annotate(
            "integral",
            (0.0, exact[column]),
            xytext=(0, 3),
            textcoords="offset points",
            fontsize=style.SMALL,
            color=style.GREY,
        )
        axis.annotate(
            "variational Bayes",
            (0, bound[column].iloc[0]),
            xytext=(8, -5),
            textcoords="offset points",
            fontsize=style.SMALL,
            color=style.COLOUR["exclusive"],
        )
        axis.annotate(
            "EP",
            (1, path[column].iloc[-1]),
            xytext=(-8, 3),
            textcoords="offset points",
            fontsize=style.SMALL,
            ha="right",
            color=style.COLOUR["ep"],
        )
    return figure
