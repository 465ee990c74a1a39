"""Figures on laws and their approximations: the set-up, the two directions of KL, the family in between, EP."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from elbo.figures import style

__all__ = ["alpha_family", "clutter", "decomposition", "jensen", "mean_field", "power_path", "two_modes"]


def jensen(data: pd.DataFrame) -> Figure:
    """From :func:`elbo.experiments.blei_2017.setup.jensen`: the chord under the logarithm, and averaging first."""
    figure, axes = style.new(1, 2, height=3.0, width_ratios=(1.35, 1))
    chord, average = axes[0]
    curve, points = data[data["part"] == "curve"], data[data["part"] == "point"]
    mean = data[data["part"] == "mean"].iloc[0]
    chord.plot(curve["w"], curve["value"], color=style.COLOUR["exact"], linewidth=1.3)
    chord.plot(points["w"], points["value"], color=style.COLOUR["elbo"], marker="o", linestyle=":", linewidth=1.2)
    style.guide(
        chord.plot([mean["w"]] * 2, [mean["value"], mean["log_of_mean"]], color=style.COLOUR["exclusive"], linewidth=5)[
            0
        ]
    )
    chord.plot(mean["w"], mean["log_of_mean"], color=style.COLOUR["exact"], marker="o", markersize=6)
    chord.plot(mean["w"], mean["value"], color=style.COLOUR["elbo"], marker="s", markersize=6)
    for text, y, offset, colour, side in (
        ("log of the average", mean["log_of_mean"], (-8, 6), style.COLOUR["exact"], "right"),
        ("average of the logs", mean["value"], (9, -12), style.COLOUR["elbo"], "left"),
        ("the gap", 0.5 * (mean["value"] + mean["log_of_mean"]), (-8, -3), style.COLOUR["exclusive"], "right"),
    ):
        chord.annotate(
            text, (mean["w"], y), xytext=offset, textcoords="offset points", fontsize=style.SMALL, color=colour, ha=side
        )
    style.panel(chord, "A chord lies under the curve", "ratio p(x, z) / q(z)", "log of it (nats)")

    rows = data[data["part"] == "average"]
    average.plot(rows["draws"], rows["value"], color=style.COLOUR["elbo"], marker="o")
    average.plot(rows["draws"], rows["log_of_mean"], color=style.COLOUR["exact"])
    style.guide(
        average.fill_between(
            rows["draws"], rows["value"], rows["log_of_mean"], color=style.COLOUR["exclusive"], alpha=0.2, linewidth=0
        )
    )
    average.set_xscale("log", base=2)
    average.set_xticks(rows["draws"], [f"{int(k)}" for k in rows["draws"]])
    average.annotate(
        "log p(x)",
        (rows["draws"].iloc[0], mean["log_of_mean"]),
        xytext=(0, 4),
        textcoords="offset points",
        fontsize=style.SMALL,
    )
    average.margins(y=0.14)
    style.panel(average, "Averaging first narrows it", "ratios averaged before the log", "expected log (nats)")
    return figure


def decomposition(data: pd.DataFrame) -> Figure:
    """From :func:`elbo.experiments.blei_2017.setup.decomposition`: evidence = bound + gap as bars and as curves, and
    the bound as a free energy; the first model of the table."""
    rows = data[data["model"] == data["model"].iloc[0]]
    figure, axes = style.new(1, 3, height=3.0, width_ratios=(1.05, 1, 1.25))
    _bars(axes[0, 0], rows)
    _bound(axes[0, 1], rows)
    _free_energy(axes[0, 2], rows)
    return figure


def _bars(axis: Axes, rows: pd.DataFrame) -> None:
    """Bars that hang from zero: down to the evidence, then on to the bound by the divergence."""
    shown = rows[rows["scale"].isin((0.5, 1.0, 2.0))]
    places = range(len(shown))
    axis.bar(places, shown["log_evidence"], width=0.62, color=style.GREY, alpha=0.55)
    axis.bar(places, shown["minus_kl"], width=0.62, bottom=shown["log_evidence"], color=style.COLOUR["exclusive"])
    style.guide(axis.plot([-0.45, 2.45], [rows["log_evidence"].iloc[0]] * 2, color=style.COLOUR["exact"])[0])
    low = shown["elbo"].min()
    axis.annotate(
        "log p(x)",
        (1.0, 0.5 * rows["log_evidence"].iloc[0]),
        ha="center",
        va="center",
        fontsize=style.SMALL,
        rotation=90,
    )
    for place, row in zip(places, shown.itertuples()):
        text = f"KL\n{row.kl:.2f}" if row.kl > 0.01 else "KL\n0"
        axis.annotate(
            text,
            (place, row.elbo),
            xytext=(0, -3),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=style.SMALL,
            color=style.COLOUR["exclusive"],
        )
    axis.set_xticks(list(places), ["½", "1", "2"])
    axis.set_ylim(1.38 * low, 0)
    style.panel(axis, "Ends at the ELBO", "scale of q / posterior", "nats")


def _bound(axis: Axes, rows: pd.DataFrame) -> None:
    evidence = rows["log_evidence"].iloc[0]
    axis.plot(rows["scale"], rows["elbo"], color=style.COLOUR["elbo"])
    style.guide(axis.plot(rows["scale"], rows["log_evidence"], color=style.COLOUR["exact"], linewidth=1.0)[0])
    style.guide(
        axis.fill_between(
            rows["scale"], rows["elbo"], rows["log_evidence"], color=style.COLOUR["exclusive"], alpha=0.35, linewidth=0
        )
    )
    low = rows["elbo"].min()
    axis.set_ylim(low - 0.05 * (evidence - low), evidence + 0.16 * (evidence - low))
    axis.annotate(
        "log p(x)", (0.27, evidence), xytext=(0, 4), textcoords="offset points", ha="left", fontsize=style.SMALL
    )
    at = rows.iloc[(rows["scale"] - 1.75).abs().argmin()]
    axis.annotate(
        "ELBO",
        (at["scale"], at["elbo"]),
        xytext=(-5, -10),
        textcoords="offset points",
        ha="right",
        fontsize=style.SMALL,
    )
    wide = rows.iloc[(rows["scale"] - 0.32).abs().argmin()]
    axis.annotate(
        "KL",
        (wide["scale"], 0.5 * (wide["elbo"] + evidence)),
        ha="center",
        va="center",
        fontsize=style.SMALL,
        color=style.COLOUR["exclusive"],
    )
    style.panel(axis, "One gap, every width", "scale of q / posterior", "nats")
    _scale_ticks(axis)


def _free_energy(axis: Axes, rows: pd.DataFrame) -> None:
    style.panel(axis, "As physics reads it", "scale of q / posterior", "nats")
    labels = []
    for column, label, meaning in (
        ("energy", "energy\nE[U]", "energy"),
        ("entropy", "entropy\nH[q]", "entropy"),
        ("free_energy", "free energy\n= −ELBO", "elbo"),
    ):
        axis.plot(rows["scale"], rows[column], color=style.COLOUR[meaning], linestyle=style.LINE[meaning])
        labels.append((rows["scale"].iloc[-1], rows[column].iloc[-1], label, style.COLOUR[meaning]))
    style.end_labels(axis, labels, gap=0.2)
    _scale_ticks(axis)


def _scale_ticks(axis: Axes) -> None:
    axis.set_xscale("log")
    axis.set_xticks([0.25, 0.5, 1, 2], ["¼", "½", "1", "2"])
    axis.minorticks_off()


def mean_field(data: pd.DataFrame) -> Figure:
    """From :func:`elbo.experiments.blei_2017.divergences.correlated_gaussian`: figure 1 of the paper and its variance
    against correlation."""
    figure, axes = style.new(1, 2, height=3.5, width_ratios=(1.3, 1))
    plane, variance = axes[0]
    for law, rows in data[data["part"] == "ellipse"].groupby("law", sort=False):
        plane.plot(rows["z1"], rows["z2"], color=style.COLOUR[law], linestyle=style.LINE[law], linewidth=2)
    path = data[data["part"] == "path"]
    plane.plot(path["z1"], path["z2"], color=style.COLOUR["exclusive"], linewidth=0.8, marker=".", markersize=3)
    style.panel(plane, "Two standard deviations", "$z_1$", "$z_2$").set_aspect("equal")
    plane.set(xlim=(-2.5, 5.3), ylim=(-2.4, 2.5), xticks=[-2, -1, 0, 1, 2])
    for law, text, place, tip in (
        ("exact", "target p", (2.4, 1.9), (1.93, 1.88)),
        ("exclusive", "mean field:\nbest KL(q‖p)", (2.4, 0.2), (0.85, 0.15)),
        ("inclusive", "moment matching:\nbest KL(p‖q)", (2.4, -1.75), (1.56, -1.25)),
    ):
        arrow = {"arrowstyle": "-", "color": style.COLOUR[law], "linewidth": 0.8, "shrinkB": 1}
        plane.annotate(
            text, tip, xytext=place, color=style.COLOUR[law], fontsize=style.SMALL, va="center", arrowprops=arrow
        )
    plane.annotate("path of CAVI", (-1.75, 2.15), color=style.COLOUR["exclusive"], fontsize=style.SMALL)

    for law, part in data[data["part"] == "variance"].groupby("law", sort=False):
        variance.plot(
            part["correlation"], part["closed_form"], color=style.COLOUR[law], linestyle=style.LINE[law], linewidth=1.0
        )
        variance.plot(
            part["correlation"], part["variance"], color=style.COLOUR[law], linestyle="", marker=style.MARKER[law]
        )
    style.panel(variance, "Variance of $z_1$ (exact: 1)", "correlation ρ of the target", "variance under q")
    variance.set_ylim(0, 1.22)
    variance.annotate(
        "moment matching: $\\Sigma_{11}$", (0.02, 1.07), color=style.COLOUR["inclusive"], fontsize=style.SMALL
    )
    variance.annotate(
        "mean field:\n$1/\\Lambda_{11} = 1-\\rho^2$", (0.02, 0.5), color=style.COLOUR["exclusive"], fontsize=style.SMALL
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
    style.panel(densities, "The nearest Gaussian", "z", "density").set_ylim(0, 0.95)
    optima = data[data["part"] == "optimum"].set_index("law")
    for law, (x, y), text in (
        ("exclusive", (-1.8, 0.83), "KL(q‖p), best"),
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
    """From :func:`elbo.experiments.blei_2017.divergences.alpha_family`: one panel a density along the family (five at
    most), and the optimum's moments."""
    target = data[data["part"] == "exact"]
    shown = sorted(data.loc[data["part"] == "density", "alpha"].unique())[:5]
    figure, axes = style.new(2, 3, height=4.3)
    for number, (axis, alpha) in enumerate(zip(axes.flat, shown)):
        end = "exclusive" if alpha < 0.5 else "inclusive" if alpha > 0.5 else "laplace"
        rows = data[(data["part"] == "density") & (data["alpha"] == alpha)]
        axis.plot(target["z"], target["value"], color=style.COLOUR["exact"], linewidth=1.2)
        axis.plot(rows["z"], rows["value"], color=style.COLOUR[end], linestyle=style.LINE[end], linewidth=2)
        name = {0.0: ", KL(q‖p)", 1.0: ", KL(p‖q)"}.get(alpha, "")
        style.panel(axis, f"a = {alpha:g}{name}", "z" if number > 2 else "", "density" if number % 3 == 0 else "")
        axis.set_ylim(0, 0.9)
        axis.set_xticks([-4, -2, 0, 2, 4, 6])
    optimum, moments = data[data["part"] == "optimum"], axes.flat[-1]
    for column, marker, y, label in (("sd", "o", 1.9, "deviation"), ("mean", "s", -0.95, "mean")):
        moments.scatter(
            optimum["alpha"], optimum[column], s=13, color=style.COLOUR["exact"], marker=marker,
            facecolor="white" if column == "mean" else None, linewidths=0.8,
        )  # fmt: skip
        style.guide(moments.axhline(target[column].iloc[0], **style.GUIDE))
        moments.annotate(f"{label} of q", (0.02, y if column == "mean" else 0.75), fontsize=style.SMALL)
    moments.annotate("dotted: of p", (1.0, 2.35), fontsize=style.SMALL, color=style.GREY, ha="right")
    style.panel(moments, "One jump", "a", "units of z").set_ylim(-2.1, 2.9)
    return figure


def clutter(data: pd.DataFrame) -> Figure:
    """From :func:`elbo.experiments.blei_2017.clutter.clutter`: one posterior, its sites, and the deviations over all
    data sets."""
    figure, axes = style.new(1, 3, height=3.0)
    density, sites, spread = axes[0]
    for law, rows in data[data["part"] == "density"].groupby("law", sort=False):
        density.plot(
            rows["z"],
            rows["value"],
            color=style.COLOUR[law],
            linestyle=style.LINE[law],
            linewidth=2.2 if law == "exact" else 1.5,
        )
    style.panel(density, "Posterior, log axis", "z", "density")
    peak = data.loc[data["part"] == "density", "value"].max()
    density.set(yscale="log", ylim=(1e-4 * peak, 30 * peak))
    density.yaxis.set_minor_formatter(NullFormatter())
    for height, (law, text) in zip(
        (0.93, 0.84, 0.75), (("exact", "integral"), ("ep", "EP"), ("exclusive", "best ELBO"))
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
    style.panel(sites, "EP sites", "observation $x_n$", "precision")
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
    style.panel(spread, "Deviation / exact", "", "ratio")
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
