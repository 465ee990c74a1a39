"""The numbers that the prose of the chapter speaks of: a table in, ``{name: text}`` out, for headings, sentences and
captions.

Every text is read off its table when the chapter runs; none is typed. The names are unique in the chapter.
"""

from __future__ import annotations

import math

import pandas as pd

from elbo.experiments.kingma_welling_2013.bound import common_end

__all__ = [
    "PAPER_FREY",
    "active",
    "agreement",
    "amortisation",
    "at_the_end",
    "bound",
    "breakdown",
    "bound_at_scale",
    "deep",
    "draws",
    "estimators",
    "evidence",
    "gain_of_draws",
    "gradients",
    "join",
    "noise",
    "number",
    "remedies",
    "reparameterisations",
    "signal",
    "weights",
]

PAPER_FREY = {2: (872, 875), 5: (1115, 1005), 10: (1307, 1153), 20: (1312, 1252)}
"""The paper's own test bound of AEVB on Frey faces, nats: at 10^8 samples and at the last points of its curve, beyond
the frame.

Read off the vector graphics of its Figure 2 (arXiv:1312.6114v10, page 7), by size of the code, to about 3 nats.
"""


def number(value: float, digits: int = 2, sign: bool = False) -> str:
    """A number as it is set in prose, with a true minus sign."""
    text = f"{value:{'+' if sign else ''}.{digits}f}"
    return text.replace("-", "\N{MINUS SIGN}")


def join(words: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _error(value: float) -> float:
    return 0.0 if math.isnan(value) else value


def bound(table: pd.DataFrame, lead: pd.DataFrame) -> dict[str, str]:
    """Figure 2 on this run's data.

    Args:
        table: from ``bound``; AEVB and wake-sleep.
        lead: from ``lead_of_aevb``.
    """
    last = table[(table.samples == table.samples.max()) & (table.algorithm == "aevb")]
    test = last[last.split == "test"].set_index("latent_dim")
    gap = last.pivot(index="latent_dim", columns="split", values="bound")
    small, large = test.index.min(), test.index.max()
    first = table[(table.samples == table.samples.min()) & (table.algorithm == "aevb")]
    early = first.pivot(index="latent_dim", columns="split", values="bound")
    best = lead.set_index("latent_dim").lead
    widest = lead[lead.latent_dim == best.idxmax()].iloc[0]
    clear = lead[(lead.seeds > 1) & (lead.lead > 2 * lead.se)]
    return {
        "bound-small": number(test.bound[small]),
        "bound-large": number(test.bound[large]),
        "bound-small-size": str(small),
        "bound-large-size": str(large),
        "bound-gain": number(test.bound[large] - test.bound[small]),
        "bound-lead": number(widest.lead, 2, sign=True),
        "bound-lead-se": number(_error(widest.se)),
        "bound-lead-size": str(int(widest.latent_dim)),
        "bound-clear": f"{len(clear)} of {len(lead)}",
        "bound-test-minus-train": number(float((gap.test - gap.train).mean()), 2, sign=True),
        "bound-test-minus-train-first": number(float((early.test - early.train).mean()), 2, sign=True),
        "bound-samples": f"{table.samples.max():,.0f}",
    }


def bound_at_scale(table: pd.DataFrame, name: str) -> dict[str, str]:
    """A kept table of figure 2, each key with ``name`` ("mnist", "frey") in front.

    The lead counts a size only where wake-sleep has not come apart: a bound far below that of its own smallest code.
    """
    end = common_end(table)
    last = table[table.samples == end].groupby(["algorithm", "latent_dim", "split"]).bound.mean()
    test = last.xs("test", level="split")
    gap = (last.xs("train", level="split") - test)["aevb"]
    aevb, asleep = test["aevb"], test["wake-sleep"]
    broken = [size for size in asleep.index if asleep[size] < asleep[asleep.index.min()] - 20]
    lead = (aevb - asleep).drop(broken)
    own = table[(table.algorithm == "aevb") & (table.split == "test")]
    peaks = own.groupby(["latent_dim", "samples"]).bound.mean().groupby("latent_dim")
    fall = peaks.max() - aevb
    apart = ""
    if broken:
        apart = (
            f" Wake-sleep with {join([str(size) for size in broken])} latents came apart in its first steps and "
            "is left out."
        )
    said = {
        "end": _samples(end),
        "seeds": "one seed" if table.seed.nunique() == 1 else f"{table.seed.nunique()} seeds",
        "lead-min": number(lead.min(), 1),
        "lead-max": number(lead.max(), 1),
        "ahead": f"{int((lead > 0).sum())} of {len(lead)}",
        "apart": apart,
        "best-size": str(aevb.idxmax()),
        "best": number(aevb.max(), 1),
        "widest-size": str(aevb.index.max()),
        "widest": number(aevb.iloc[-1], 1),
        "smallest": number(aevb.iloc[0], 1),
        "gap-min": number(gap.min(), 1),
        "gap-max": number(gap.max(), 1),
        "fall": number(fall.max(), 1),
        "fall-size": str(fall.idxmax()),
        "overfits": f"the test bound falls {number(fall.max(), 1)} nats from its best"
        if fall.max() >= 1
        else "no test bound falls by a nat",
    }
    return {f"{name}-{key}": value for key, value in said.items()}


def _samples(count: float) -> str:
    return f"{count / 1e6:g} million" if count >= 1e6 else f"{count:,.0f}"


def _holds(ratio: pd.Series) -> str:
    """Whether A is noisier than B: at every size of the code, at none, or at some."""
    above = int((ratio > 1).sum())
    return "true" if above == len(ratio) else "not true" if above == 0 else f"true with {above} of {len(ratio)} sizes"


def noise(table: pd.DataFrame) -> dict[str, str]:
    """A against B on the trained models; from ``estimator_noise``."""
    sizes = table.pivot(index="latent_dim", columns="estimator", values=["value_sd", "gradient_sd"])
    value, gradient = (sizes[column].A / sizes[column].B for column in ("value_sd", "gradient_sd"))
    large = int(sizes.index.max())
    return {
        "noise-size": str(large),
        "noise-gradient": number(gradient[large], 1),
        "noise-gradient-min": number(gradient.min(), 1),
        "noise-gradient-max": number(gradient.max(), 1),
        "noise-value": number(1 / value[large], 1),
        "noise-value-max": number((1 / value).max(), 1),
        "noise-value-min": number((1 / value).min(), 1),
        "noise-verdict": f"{_holds(gradient)} of the gradient, {_holds(value)} of the value",
    }


def gradients(table: pd.DataFrame) -> dict[str, str]:
    """Reparameterisation against the score function; from ``gradient_noise``."""
    sizes = table[table.panel == "latents"].pivot(index="latent_dim", columns="estimator", values="sd")
    ways = table[table.panel == "distance"].sort_values("gap").pivot(index="gap", columns="estimator", values="sd")
    large = int(sizes.index.max())
    step = [
        math.log(sizes.loc[large, name] / sizes[name].iloc[-2]) / math.log(large / sizes.index[-2]) for name in sizes
    ]
    power = dict(zip(sizes, step))
    worst = table.groupby("estimator").bias_z.agg(lambda z: float((z**2).mean() ** 0.5)).max()
    length = table[(table.panel == "latents") & (table.latent_dim == large)].gradient.iloc[0]
    return {
        "gradients-size": str(large),
        "gradients-times": number(sizes.loc[large, "score function"] / sizes.loc[large, "A"], 0),
        "gradients-times-baseline": number(sizes.loc[large, "score function, baseline"] / sizes.loc[large, "A"], 1),
        "gradients-a": number(sizes.loc[large, "A"], 0),
        "gradients-score": f"{sizes.loc[large, 'score function']:,.0f}",
        "gradients-length": number(length, 0),
        "gradients-power-score": number(power["score function"], 1),
        "gradients-power-baseline": number(power["score function, baseline"], 1),
        "gradients-power-a": number(power["A"], 1),
        "gradients-near-a": number(ways.iloc[0]["A"], 1),
        "gradients-near-path": number(ways.iloc[0]["path"], 3),
        "gradients-bias": number(worst, 2),
    }


def signal(table: pd.DataFrame) -> dict[str, str]:
    """Signal and noise of the gradient of a tighter bound; from ``gradient_signal``."""
    wide = table.pivot(index="draws", columns="estimator", values="ratio")
    most = int(wide.index.max())
    return {
        "signal-draws": str(most),
        "signal-plain-one": number(wide.plain.iloc[0]),
        "signal-plain-many": number(wide.plain[most]),
        "signal-doubly-one": number(wide.doubly.iloc[0]),
        "signal-doubly-many": number(wide.doubly[most]),
    }


def reparameterisations(table: pd.DataFrame) -> dict[str, str]:
    """The other reparameterisations; from ``reparameterisations``."""
    z = ((table.gradient - table.exact) / table.se).abs()
    return {"repar-count": str(len(table)), "repar-worst": number(z.max(), 1)}


def draws(table: pd.DataFrame, passes: int = 100) -> dict[str, str]:
    """Draws against images; from ``draws_and_batches``: the noise at the same number of decoder passes."""
    row = table.iloc[0]
    most = int(table[table.passes == passes].draws.max())

    def sd(count: int) -> float:
        return math.sqrt((row["between"] + row["within"] / count) / (passes / count))

    return {
        "draws-passes": str(passes),
        "draws-many": str(most),
        "draws-one-sd": number(sd(1), 1),
        "draws-many-sd": number(sd(most), 1),
        "draws-cost": number(sd(most) / sd(1), 1),
        "draws-share": f"{100 * row['within'] / (row['within'] + row['between']):.0f}",
        "draws-size": str(int(row.latent_dim)),
    }


def amortisation(gaps: pd.DataFrame, one: pd.DataFrame) -> dict[str, str]:
    """The two gaps; from ``gap_by_size`` and ``posterior_of_one``."""
    last = gaps.iloc[-1]
    return {
        "amortised-size": str(int(last.latent_dim)),
        "amortised-encoder": number(last.amortisation),
        "amortised-encoder-se": number(_error(last.amortisation_se)),
        "amortised-family": number(last.approximation),
        "amortised-family-se": number(_error(last.approximation_se)),
        "amortised-share": f"{100 * last.amortisation / (last.amortisation + last.approximation):.0f}",
        "amortised-one": number(one.amortisation.iloc[0]),
        "amortised-small": str(int(gaps.latent_dim.iloc[0])),
        "amortised-small-encoder": number(gaps.amortisation.iloc[0]),
        "amortised-small-family": number(gaps.approximation.iloc[0]),
    }


def active(table: pd.DataFrame) -> dict[str, str]:
    """How many latents are used; from ``use_of_latents``."""
    time = table[table.panel == "time"]
    ends = time[time.samples == time.samples.max()].set_index("latent_dim")
    small, large = ends.index.min(), ends.index.max()
    return {
        "active-size": str(large),
        "active-variance": number(ends.active[large], 0),
        "active-divergence": number(ends.active_kl[large], 0),
        "active-first": number(time[(time.latent_dim == large)].sort_values("samples").active.iloc[0], 0),
        "active-kl": number(ends.kl[large], 1),
        "active-bits": number(ends.kl[large] / math.log(2), 1),
        "active-bound": number(ends.bound[large]),
        "active-small": str(small),
        "active-small-bound": number(ends.bound[small]),
    }


def gain_of_draws(table: pd.DataFrame) -> pd.DataFrame:
    """What several draws gain over one at the end of training, for the page; from the table ``draws-grid``."""
    gains = table.dropna(subset=["gain"]).groupby(["batch_size", "draws"]).gain
    text = gains.mean().map("{:+.2f}".format) + " ± " + gains.sem().map("{:.2f}".format)
    shown = text.unstack().rename(columns="{} draws".format)
    return shown.rename_axis(columns=None).reset_index().rename(columns={"batch_size": "images in a minibatch"})


def remedies(means: pd.DataFrame, models: pd.DataFrame) -> dict[str, str]:
    """What free bits and warm-up do to the latents and to the bound at the end; from
    ``remedy_means`` and its models.
    """
    ends = means[means.samples == means.samples.max()].set_index("remedy")
    size, free = int(models.latent_dim.iloc[0]), float(models.free.max())
    said = {
        "remedy-size": str(size),
        "remedy-seeds": str(int(ends.seeds.iloc[0])),
        "remedy-lambda": f"{free:g}",
        "remedy-given": number(size * free, 1),
        "remedy-free-kl": number(ends.kl["free bits"], 1),
        "remedy-cost": number(ends.bound["none"] - ends.bound["free bits"], 1),
    }
    for name, remedy in (("none", "none"), ("warm", "warm-up"), ("free", "free bits")):
        said |= {f"remedy-{name}-active": number(ends.active_kl[remedy], 0)}
        said |= {f"remedy-{name}-bound": number(ends.bound[remedy], 1)}
    return said


def evidence(table: pd.DataFrame, prefix: str = "evidence") -> dict[str, str]:
    """Figure 3 by quadrature: who is ahead on test images for the smallest and the largest training set, and by how
    much."""
    table = table[table.estimator == "quadrature"] if "estimator" in table else table
    said = {}
    for place, count in (("few", table.train_images.min()), ("many", table.train_images.max())):
        own = table[table.train_images == count]
        last = own[own.samples == own.samples.max()].groupby(["split", "algorithm"]).log_evidence.mean()
        test = last["test"].sort_values(ascending=False)
        said |= {
            f"{prefix}-{place}-n": f"{count:,}",
            f"{prefix}-{place}-first": ALGORITHM[test.index[0]],
            f"{prefix}-{place}-order": ", ".join(
                f"{ALGORITHM[name]} {number(value, 1)}" for name, value in test.items()
            ),
            f"{prefix}-{place}-lead": number(test.iloc[0] - test.iloc[1], 1),
            f"{prefix}-{place}-mcem": number(test["aevb"] - test["mcem"], 1),
            f"{prefix}-{place}-gap": number(float((last["train"] - last["test"]).max()), 1),
        }
        chains = own[own.algorithm == "mcem"].moves.max()
        said[f"{prefix}-{place}-moves"] = f"{chains:.3g}"
    return said | {f"{prefix}-end": _samples(float(table.samples.max()))}


ALGORITHM = {"aevb": "AEVB", "wake-sleep": "wake-sleep", "mcem": "Monte Carlo EM"}


def at_the_end(table: pd.DataFrame) -> pd.DataFrame:
    """A table for the page: the marginal likelihood at the end of training, images test and training, nats per
    image."""
    table = table[table.estimator == "quadrature"] if "estimator" in table else table
    last = table[table.samples == table.samples.max()].copy()
    last["algorithm"] = last.algorithm.map(ALGORITHM)
    wide = last.pivot_table(index=["train_images", "algorithm"], columns="split", values="log_evidence")
    wide["± over images"] = last[last.split == "test"].groupby(["train_images", "algorithm"]).se_images.mean()
    wide = wide[["test", "± over images", "train"]].rename(columns={"test": "test images", "train": "training images"})
    wide.columns.name = None
    wide.index = [f"{name}, trained on {count:,}" for count, name in wide.index]
    return wide.round(2)


def estimators(table: pd.DataFrame) -> dict[str, str]:
    """Estimators of the marginal likelihood against its exact value; from ``estimators``."""
    outside = [
        f"{row.estimator} ({row.model})"
        for row in table.itertuples()
        if (1 if row.side == "lower" else -1) * row.error > 3 * row.se
    ]
    last = table[table.model == table.model.iloc[-1]].set_index("estimator")
    steps = list(dict.fromkeys(name.split(", ")[1] for name in last.index if name.startswith("AIS")))
    width = [last.error[f"AIS reverse, {number}"] - last.error[f"AIS forward, {number}"] for number in steps]
    return {
        "judge-count": str(len(table)),
        "judge-outside": "no estimate" if not outside else join(outside),
        "judge-short": steps[0].split()[0],
        "judge-long": steps[-1].split()[0],
        "judge-short-width": number(width[0]),
        "judge-long-width": number(width[-1]),
    }


def breakdown(table: pd.DataFrame) -> dict[str, str]:
    """Where appendix D's estimator gives way; from ``breakdown``."""
    at = table.loc[(table.infinite - 0.5).abs().idxmin()]
    return {
        "appendix-small": str(int(table.dim.iloc[0])),
        "appendix-small-rms": number(table.rms.iloc[0]),
        "appendix-large": str(int(table.dim.iloc[-1])),
        "appendix-large-rms": number(table.rms.iloc[-1], 1),
        "appendix-large-claimed": number(table.claimed.iloc[-1], 1),
        "appendix-half": str(int(at.dim)),
        "appendix-half-share": f"{100 * at.infinite:.0f}",
        "appendix-draws": str(int(table.draws.iloc[0])),
    }


def agreement(table: pd.DataFrame) -> pd.DataFrame:
    """A table for the page: how far each estimator is from quadrature on test images at the end, nats."""
    last = table[
        (table.samples == table.samples.max()) & (table.split == "test") & (table.estimator != "quadrature")
    ].copy()
    last["algorithm"] = last.algorithm.map(ALGORITHM)
    columns = {
        "off": "mean distance from quadrature",
        "worst": "worst image",
        "se_estimate": "standard error that it claims",
    }
    means = last.groupby(["train_images", "algorithm", "estimator"])[list(columns)].mean().rename(columns=columns)
    means.index = [f"{name}, trained on {count:,}: {estimator}" for count, name, estimator in means.index]
    return means


def _difference(predictive: pd.Series, error: pd.Series) -> str:
    """Full variational Bayes against fixed weights on held-out images, judged by two standard errors."""
    full, fixed = ("full VB", "test"), ("MAP", "test")
    gain = predictive[full] - predictive[fixed]
    clear = abs(gain) > 2 * math.hypot(_error(error[full]), _error(error[fixed]))
    return "ahead of" if clear and gain > 0 else "behind" if clear else "level with"


def _dip(table: pd.DataFrame) -> str:
    """A sentence on the deepest fall of full variational Bayes' held-out bound below what it had reached before."""
    path = table[(table.method == "full VB") & (table.split == "test")].sort_values("samples").bound
    deepest = float((path.cummax() - path).max())
    if deepest < 0.1:
        return "Its held-out bound rises all the way."
    return (
        f"On the way its held-out bound dips by {number(deepest, 1)} nats: narrow weights cost more than few images "
        "can pay, and it gives them up one after another."
    )


def weights(table: pd.DataFrame) -> dict[str, str]:
    """Full variational Bayes against fixed weights, for the fewest and the most training images; from ``few_data``."""
    said = {}
    for place, count in (("few", table["count"].min()), ("many", table["count"].max())):
        own = table[(table["count"] == count) & (table.samples == table.samples.max())].set_index(["method", "split"])
        gap = {name: own.bound[name, "train"] - own.bound[name, "test"] for name in ("MAP", "full VB")}
        said |= {
            f"weights-{place}": f"{count:,}",
            f"weights-{place}-gap-map": number(gap["MAP"], 1),
            f"weights-{place}-gap-full": number(gap["full VB"], 1),
            f"weights-{place}-bound": number(own.bound["full VB", "test"] - own.bound["MAP", "test"], 1, sign=True),
            f"weights-{place}-predictive": number(
                own.predictive["full VB", "test"] - own.predictive["MAP", "test"], 1, sign=True
            ),
            f"weights-{place}-know": number(own.weights_kl["full VB", "test"], 1),
            f"weights-{place}-says": _difference(own.predictive, own.predictive_se),
            f"weights-{place}-dip": _dip(table[table["count"] == count]),
        }
    return said


def deep(table: pd.DataFrame, prefix: str) -> dict[str, str]:
    """The importance-weighted pair; from ``compare``, with ``prefix`` before each key."""
    by_model = table.groupby(["draws", "trained_with"]).mean(numeric_only=True)
    last, first = by_model.loc[table.draws.max()], by_model.loc[1]
    plain, best = last.index.min(), last.index.max()
    said = {
        "k": str(best),
        "plain": number(last.nll[plain], 1),
        "best": number(last.nll[best], 1),
        "gain": number(last.nll[plain] - last.nll[best]),
        "gain-se": number(last.se_gain[best]),
        "gap": number(first.nll[plain] - last.nll[plain]),
        "active": f"{last.active[plain]:.0f}",
        "active-best": f"{last.active[best]:.0f}",
    }
    if "published" in last:
        said |= {
            "published": number(last.published[plain]),
            "away": number(last.nll[plain] - last.published[plain], 1, True),
        }
    return {f"{prefix}-{key}": value for key, value in said.items()}
