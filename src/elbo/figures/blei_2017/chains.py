"""Figures on Hamiltonian Monte Carlo: what it explores, what it costs, and whether it is calibrated."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from elbo.figures import style

__all__ = ["calibration", "correlated_gaussian", "energy"]


def correlated_gaussian(data: pd.DataFrame) -> Figure:
    """From :func:`elbo.experiments.blei_2017.chains.correlated_gaussian`: what a chain sees, and error against cost."""
    figure, axes = style.new(1, 2, height=3.1)
    plane, error = axes[0]
    draws = data[data["part"] == "draw"]
    plane.scatter(draws["z1"], draws["z2"], s=6, color=style.COLOUR["hmc"], alpha=0.4, linewidths=0, rasterized=True)
    path = data[data["part"] == "trajectory"]
    plane.plot(path["z1"], path["z2"], color=style.COLOUR["hmc"], marker=".", markersize=4, linewidth=1.2)
    for law, rows in data[data["part"] == "ellipse"].groupby("law", sort=False):
        plane.plot(rows["z1"], rows["z2"], color=style.COLOUR[law], linestyle=style.LINE[law], linewidth=1.3)
    style.panel(plane, "Draws and one trajectory", "$z_1$", "$z_2$").set_aspect("equal", adjustable="datalim")
    plane.annotate("mean field", (0.75, -0.95), fontsize=style.SMALL, color=style.COLOUR["exclusive"])
    plane.annotate("HMC", (-1.5, 1.5), fontsize=style.SMALL, color=style.COLOUR["hmc"])

    rows = data[data["part"] == "variance"]
    error.errorbar(
        rows["gradients"],
        rows["rmse"],
        rows["se"],
        color=style.COLOUR["hmc"],
        marker=style.MARKER["hmc"],
        linestyle="-",
    )
    error.plot(rows["gradients"], rows["bias"], color=style.COLOUR["exclusive"])
    guide = rows["rmse"].iloc[-1] * 0.6 * (rows["gradients"] / rows["gradients"].iloc[-1]) ** -0.5
    style.guide(error.plot(rows["gradients"], guide, **style.GUIDE)[0])
    middle = len(rows) // 3
    beside = {"textcoords": "offset points", "fontsize": style.SMALL}
    at = (rows["gradients"].iloc[middle], guide.iloc[middle])
    error.annotate("slope −½", at, xytext=(-2, -12), ha="right", color=style.GREY, **beside)
    at = (rows["gradients"].iloc[-1], rows["bias"].iloc[0])
    error.annotate("mean field: stays", at, xytext=(0, 4), ha="right", color=style.COLOUR["exclusive"], **beside)
    at = (rows["gradients"].iloc[-3], rows["rmse"].iloc[-3])
    error.annotate("HMC", at, xytext=(6, 4), color=style.COLOUR["hmc"], **beside)
    error.set(xscale="log", yscale="log")
    error.yaxis.set_minor_formatter(NullFormatter())
    style.panel(error, "Error of Var($z_1$)", "gradients of one chain", "root mean square error")
    return figure


def energy(data: pd.DataFrame) -> Figure:
    """The part "energy" of :func:`elbo.experiments.blei_2017.chains.correlated_gaussian`: error against step size."""
    rows = data[data["part"] == "energy"]
    figure, ((axis,),) = style.new(1, 1, height=2.5)
    axis.errorbar(
        rows["step_size"], rows["energy_error"], rows["se"], color=style.COLOUR["hmc"], marker=style.MARKER["hmc"],
        linestyle="-",
    )  # fmt: skip
    last = rows.iloc[-1]
    guide = last["energy_error"] * 0.55 * (rows["step_size"] / last["step_size"]) ** 2
    style.guide(axis.plot(rows["step_size"], guide, **style.GUIDE)[0])
    at = (rows["step_size"].iloc[4], guide.iloc[4])
    axis.annotate("slope 2", at, xytext=(6, -8), textcoords="offset points", fontsize=style.SMALL, color=style.GREY)
    axis.set(xscale="log", yscale="log")
    axis.set_xticks([0.02, 0.05, 0.1, 0.2], ["0.02", "0.05", "0.1", "0.2"])
    axis.xaxis.set_minor_formatter(NullFormatter())
    return style.panel(axis, "", "step size ε", "mean |ΔH| (nats)").figure


def calibration(data: pd.DataFrame) -> Figure:
    """From :func:`elbo.experiments.blei_2017.calibration.calibration`: one rank histogram an algorithm, with its 99 %
    band."""
    figure, axes = style.new(1, 3, height=2.7, sharey=True)
    names = {"hmc": "HMC", "ep": "EP", "cavi": "CAVI, mean field"}
    for axis, (law, rows) in zip(axes[0], data.groupby("law", sort=False)):
        axis.bar(rows["bin"], rows["count"], width=0.92, color=style.COLOUR[law])
        style.guide(
            axis.axhspan(rows["low"].iloc[0], rows["high"].iloc[0], color="#999999", alpha=0.3, linewidth=0, zorder=0)
        )
        for edge in ("low", "high"):
            style.guide(axis.axhline(rows[edge].iloc[0], color="#777777", linewidth=0.6))
        style.guide(axis.axhline(rows["expected"].iloc[0], **style.GUIDE))
        style.panel(axis, names[law], "rank of the truth", "data sets" if law == "hmc" else "")
        axis.set_xticks([0, len(rows) - 1], ["lowest", "highest"])
        p_value = rows["p_value"].iloc[0]
        text = f"p = {p_value:.2f}" if p_value > 0.005 else "p < 0.005"
        axis.annotate(text, (0.5, 0.93), xycoords="axes fraction", ha="center", fontsize=style.SMALL)
    return figure
