"""The experiments of the chapter on Blei et al. (2017), at small settings: the tables say what the captions claim."""

import ast
import inspect
import re

import jupytext
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import integrate, special, stats

from checkout import ROOT
from elbo.companion.kernel.drawn import mismatch
from elbo.experiments.blei_2017 import (
    calibration,
    chains,
    clutter,
    corpus,
    divergences,
    mixtures,
    natural,
    partitions,
    setup,
    soft,
    topics,
    trust,
)
from elbo.figures.blei_2017 import chains as chain_figures
from elbo.figures.blei_2017 import laws
from elbo.figures.blei_2017 import mixtures as mixture_figures
from elbo.figures.blei_2017 import partitions as partition_figures
from elbo.figures.blei_2017 import topics as topic_figures
from elbo.figures.blei_2017 import trust as trust_figures
from elbo.inference import cavi
from elbo.models.unit_mixture import UnitMixture


def test_figure_one_finds_the_closed_forms():
    data = divergences.correlated_gaussian(0.9)
    rows = data[data["part"] == "variance"]
    np.testing.assert_allclose(rows["variance"], rows["closed_form"], rtol=1e-10)
    at = rows[rows["correlation"] == 0.9].set_index("law")
    assert at.loc["exclusive", "variance"] == pytest.approx(0.19, abs=1e-12)
    assert at.loc["exclusive", "kl_q_p"] < at.loc["inclusive", "kl_q_p"]
    assert at.loc["inclusive", "kl_p_q"] < at.loc["exclusive", "kl_p_q"]
    path = data[data["part"] == "path"][["z1", "z2"]].to_numpy()
    assert np.abs(path[-1]).max() < 1e-4
    np.testing.assert_allclose(path[4] / path[2], 0.81, rtol=1e-9)  # a sweep contracts by the squared correlation


def test_outline_is_two_standard_deviations():
    cov = torch.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=torch.float64)
    mean = torch.tensor([1.0, -1.0], dtype=torch.float64)
    z = divergences.ellipse(mean, cov) - mean
    torch.testing.assert_close(
        torch.einsum("nd,de,ne->n", z, torch.linalg.inv(cov), z), torch.full((121,), 4.0).double()
    )


def test_two_modes_have_local_optima_one_way_and_one_optimum_the_other():
    data = divergences.two_modes()
    optima = data[data["part"] == "optimum"].set_index("law")
    assert len(optima) == 4
    weight, mean, sd = np.array(divergences.TWO_MODES).T
    exact_mean = (weight * mean).sum()
    exact_sd = np.sqrt((weight * (sd**2 + mean**2)).sum() - exact_mean**2)
    assert optima.loc["inclusive", "z"] == pytest.approx(exact_mean, abs=1e-5)  # moment matching
    assert optima.loc["inclusive", "sd"] == pytest.approx(exact_sd, abs=1e-5)
    assert abs(optima.loc["exclusive", "z"] - mean[0]) < 0.05 and abs(optima.loc["exclusive", "sd"] - sd[0]) < 0.05
    exclusive = optima.filter(like="exclusive", axis=0)["value"]
    assert exclusive.is_monotonic_increasing and exclusive.iloc[1] - exclusive.iloc[0] > 0.1
    for law in ("exclusive", "inclusive"):  # the profile touches its optimum from above
        profile = data[(data["part"] == "profile") & (data["law"] == law)]["value"]
        assert profile.min() >= optima.loc[law, "value"] - 1e-8
        assert profile.min() == pytest.approx(optima.loc[law, "value"], abs=0.01)


def test_densities_on_the_grid_integrate_to_one():
    data = divergences.two_modes(points=1001)
    for law in ("exact", "exclusive", "inclusive"):
        rows = data[(data["part"] == "density") & (data["law"] == law)]
        assert integrate.trapezoid(rows["value"], rows["z"]) == pytest.approx(1, abs=0.01)


def test_alpha_family_ends_where_the_two_directions_are():
    data = divergences.alpha_family(steps=5)
    optimum = data[data["part"] == "optimum"].set_index("alpha")
    ends = divergences.two_modes().query("part == 'optimum'").set_index("law")
    for alpha, law in ((0.0, "exclusive"), (1.0, "inclusive")):
        assert optimum.loc[alpha, "mean"] == pytest.approx(ends.loc[law, "z"], abs=1e-5)
        assert optimum.loc[alpha, "sd"] == pytest.approx(ends.loc[law, "sd"], abs=1e-5)
    assert optimum["sd"].is_monotonic_increasing


def test_exact_clutter_posterior_by_enumeration():
    """Every assignment of four observations to signal or clutter: a mixture of Gaussians whose evidence and moments are
    sums."""
    x = clutter.simulate(4, 0.5, torch.Generator().manual_seed(0))
    truth = clutter.exact_posterior(x, 0.5)
    logs, means, variances = [], [], []
    for mask in np.ndindex(2, 2, 2, 2):
        kept = x[np.array(mask, dtype=bool), 0].numpy()
        noise = x[~np.array(mask, dtype=bool), 0].numpy()
        cov = np.eye(len(kept)) + 100.0
        log_signal = stats.multivariate_normal.logpdf(kept, cov=cov) if len(kept) else 0.0
        logs.append(4 * np.log(0.5) + log_signal + stats.norm.logpdf(noise, scale=np.sqrt(10)).sum())
        variances.append(1 / (len(kept) + 0.01))
        means.append(variances[-1] * kept.sum())
    weight, means, variances = special.softmax(logs), np.array(means), np.array(variances)
    assert truth.log_evidence == pytest.approx(special.logsumexp(logs), abs=1e-8)
    assert truth.mean == pytest.approx(weight @ means, abs=1e-6)
    # the grid ends at six prior deviations, which the branch "all clutter" feels
    assert truth.sd == pytest.approx(np.sqrt(weight @ (variances + means**2) - (weight @ means) ** 2), rel=1e-5)


def test_clutter_table():
    data = clutter.clutter(20, 0.5, data_sets=6, seed=0)
    solved = data[data["part"] == "data set"].set_index(["law", "data_set"])
    assert (solved.loc["exclusive", "evidence_gap"] < 0).all()  # a bound
    assert (solved.loc["exclusive", "sd_ratio"] < 1).all()
    good = solved.loc["ep"][solved.loc["ep", "converged"].astype(bool)]
    assert (good["sd_ratio"] > solved.loc["exclusive", "sd_ratio"].loc[good.index]).all()
    sites = data[data["part"] == "site"]
    assert len(sites) == 20 and (sites["value"] < 0).any() and (sites["value"] > 0).any()


def test_power_path_runs_from_variational_bayes_to_ep():
    index = clutter.most_gained(clutter.clutter(20, 0.5, data_sets=6, seed=0))
    data = clutter.power_path(20, 0.5, 0, index, powers=(0.05, 0.5, 1.0))
    path = data[data["law"] != "exact"]
    assert path["sd"].is_monotonic_increasing and path["log_evidence"].is_monotonic_increasing
    assert path["sd"].iloc[1] - path["sd"].iloc[0] < 0.1 * (path["sd"].iloc[-1] - path["sd"].iloc[0])


def test_ep_that_never_converges_is_refused():
    with pytest.raises(ValueError, match="converged on none"):
        row = {"part": "data set", "data_set": 0, "law": "ep", "sd_ratio": 1.0, "converged": False}
        clutter.most_gained(pd.DataFrame([row]))


def test_hmc_tables():
    data = chains.correlated_gaussian(0.9, chains=32, draws=400, leapfrog_steps=5, seed=0)
    energy = data[data["part"] == "energy"]
    slope = np.polyfit(np.log(energy["step_size"]), np.log(energy["energy_error"]), 1)[0]
    assert slope == pytest.approx(2, abs=0.05)
    variance = data[data["part"] == "variance"]
    assert variance["bias"].iloc[0] == pytest.approx(0.81, abs=1e-10)
    assert variance["rmse"].iloc[-1] < 0.25 < variance["bias"].iloc[0]


def test_hmc_agrees_with_the_closed_form_of_the_regression():
    table = chains.regression_check(chains=8, draws=150, leapfrog_steps=20, warmup=150, seed=0)
    assert (table["rhat"] < 1.03).all()
    assert (table["z"].abs() < 4).all()
    assert ((table["sd"] - table["exact_sd"]).abs() < 4 * table["sd_se"]).all()
    assert (table["mean_se"] < 0.15 * table["exact_sd"]).all()


def test_probit_mean_field_is_a_stationary_point_of_its_bound():
    """At rest the mean solves Lambda m = X' E[u]; the score of the bound in m, by autograd through log Phi, is zero."""
    generator = torch.Generator().manual_seed(0)
    design = torch.randn(9, 2, generator=generator, dtype=torch.float64)
    labels = torch.where(torch.randn(3, 9, generator=generator, dtype=torch.float64) > 0, 1.0, -1.0).double()
    mean, variance = calibration.probit_cavi(design, labels, 2.0)
    free = mean.clone().requires_grad_()
    calibration.probit_log_joint(free, design, labels, 2.0).sum().backward()  # the bound in m, q(u) being optimal
    torch.testing.assert_close(free.grad, torch.zeros_like(mean), rtol=0, atol=1e-8)
    precision = design.T @ design + torch.eye(2).double() / 2.0
    torch.testing.assert_close(variance, 1 / precision.diagonal())


def test_calibration_tells_the_algorithms_apart():
    data = calibration.calibration(simulations=120, seed=0)
    p_value = data.groupby("law")["p_value"].first()
    assert p_value["hmc"] > 0.001 and p_value["ep"] > 0.001 and p_value["cavi"] < 1e-6
    assert (data.groupby("law")["count"].sum() == 120).all()
    ends = data[(data["law"] == "cavi") & data["bin"].isin([0, 7])]["count"]
    assert ends.sum() > 0.5 * 120


def exercise_cells() -> list[str]:
    """The code cells of the exercises, as a reader runs them; what only computes numbers for the text is among them."""
    notebook = jupytext.read(ROOT / "book/blei-2017.md")
    at = next(i for i, cell in enumerate(notebook.cells) if "## Exercises" in cell.source)
    end = next(i for i, cell in enumerate(notebook.cells) if "## Run it yourself" in cell.source)
    return [cell.source for cell in notebook.cells[at:end] if cell.cell_type == "code"]


def test_the_exercises_run_and_their_solutions_hold(capsys):
    """Every code cell of the exercises, in order, in a namespace with the chapter's imports."""
    told = {}
    names = {"np": np, "torch": torch, "divergences": divergences, "mixtures": mixtures, "setup": setup, "seed": 0}
    names |= {"jump": 0.33, "glue": lambda key, value, display: told.update({key: value})}
    cells = exercise_cells()
    assert len(cells) >= 5
    for cell in cells:
        exec(cell, names)
    assert told["blei-ex-kept"] == pytest.approx(100 * (1 - 0.99**2), rel=1e-6)
    assert told["blei-ex-kl"] == pytest.approx(-0.5 * np.log(1 - 0.99**2), rel=1e-9)  # exercise 3
    assert told["blei-ex-rounds"] == pytest.approx(np.log(0.01) / np.log(0.99**2), rel=1e-6)
    assert told["blei-ex-wide"] / told["blei-ex-narrow"] > 4  # "already much steeper"
    assert 0 < names["left_at"] <= 0.33  # an equal second mode is worth leaving for earlier
    assert names["slow_ends"].mean() < names["ends"].mean()  # slow forgetting costs
    assert "exponent 1.0" in capsys.readouterr().out


def test_shapes_of_every_fit():
    """Mean field on the regression has the exact shape of its two covariances above 0.7, factor analysis below it."""
    rows = trust.fits(0, repeats=4).set_index(["target", "law"])
    assert not rows.loc[("linear regression", "exclusive"), "trusted"]
    assert rows.loc[("factor analysis", "exclusive"), "trusted"]
    assert rows.loc[("linear regression", "exclusive"), "effective"] < 0.1
    assert rows.loc[("probit regression", "ep"), "effective"] > 0.9
    assert rows.loc[("two modes", "inclusive"), "shape"] < 0  # q is wider than the target everywhere: a bounded ratio


def test_the_figure_of_shapes_draws_its_tables():
    correlated, fitted = trust.over_correlation(0, 1000, 4), trust.fits(0, 1000, 2)
    figure = trust_figures.shapes(correlated, fitted)
    assert mismatch(figure, pd.concat([correlated, fitted])) is None


@pytest.mark.parametrize(
    ("table", "draw"),
    [
        (lambda: setup.decomposition(points=15), laws.decomposition),
        (setup.jensen, laws.jensen),
        (lambda: partitions.over_parts(0, parts=(1, 4)), partition_figures.over_parts),
        (lambda: topics.learn(corpus.standard_library(60), 4, sweeps=2, num_starts=1)[0], topic_figures.learning),
        (soft.soft_assignments, mixture_figures.soft),
        (natural.steepest, mixture_figures.steepest),
        (lambda: chains.correlated_gaussian(0.9, 8, 40, 5, 0), chain_figures.energy),
        (lambda: divergences.correlated_gaussian(0.9), laws.mean_field),
        (divergences.two_modes, laws.two_modes),
        (lambda: divergences.alpha_family(steps=5), laws.alpha_family),
        (lambda: clutter.clutter(20, 0.5, 4, 0), laws.clutter),
        (lambda: clutter.power_path(20, 0.5, 0, 0, (0.5, 1.0)), laws.power_path),
        (lambda: chains.correlated_gaussian(0.9, 8, 40, 5, 0), chain_figures.correlated_gaussian),
        (lambda: calibration.calibration(24, 0), chain_figures.calibration),
    ],
)
def test_figures_draw_what_their_tables_hold(table, draw):
    data = table()
    assert mismatch(draw(data), data) is None


def test_jensen_by_simulation():
    """The exact sums against a million averages, and the gap of one weight: log of the
    mean less the mean of the logs.
    """
    data = setup.jensen(0.3, 1.7, draws=(1, 4))
    generator = torch.Generator().manual_seed(0)
    for k, value in data[data["part"] == "average"][["draws", "value"]].itertuples(index=False):
        high = torch.rand(1_000_000, int(k), generator=generator, dtype=torch.float64) < 0.5
        logs = torch.where(high, 1.7, 0.3).double().mean(1).log()
        assert logs.mean().item() == pytest.approx(value, abs=4 * logs.std().item() / 1000)
    mean = data[data["part"] == "mean"].iloc[0]
    assert mean["gap"] == pytest.approx(-0.5 * np.log(0.3 * 1.7), abs=1e-12)
    with pytest.raises(ValueError, match="positive"):
        setup.jensen(2.0, 1.0)


def test_soft_assignments_follow_cavi():
    """The written-out sweep is the package's CAVI: the same bound after every sweep, from the same start."""
    data = soft.soft_assignments(sweeps=5)
    terms = data[data["part"] == "term"]
    model, x = UnitMixture(2, mean_sd=3.0), torch.tensor(soft.DATA, dtype=torch.float64)[:, None]
    start = soft.UnitPosterior(torch.tensor([[[0.2], [1.0]]], dtype=torch.float64), torch.full((1, 2), 0.5).double())
    state = cavi.CaviState(start, torch.tensor([-torch.inf]), 0)
    for bound in terms["elbo"]:
        state = cavi.step(model, x, state)
        assert state.elbo.item() == pytest.approx(bound, abs=1e-9)
    np.testing.assert_allclose(terms["elbo"], terms["expected"] + terms["entropy"] - terms["prior_kl"])


def test_the_predictive_integrates_to_one_and_is_wider_than_its_plug_in():
    rows = soft.soft_assignments(points=801)
    rows = rows[rows["part"] == "predictive"]
    variance = {}
    for column in ("value", "plug_in"):
        assert integrate.trapezoid(rows[column], rows["x"]) == pytest.approx(1, abs=0.01)
        variance[column] = integrate.trapezoid(rows[column] * rows["x"] ** 2, rows["x"])
    assert variance["value"] > variance["plug_in"]


def test_both_gradients_descend_on_the_same_gap():
    data = natural.steepest(steps=20)
    path = data[data["part"] == "path"]
    for law, rows in path.groupby("law"):
        assert rows["gap"].is_monotonic_decreasing, law
        gap = 0.5 * (rows["m1"] ** 2 + (rows["m2"] / 0.15) ** 2)
        np.testing.assert_allclose(rows["gap"], gap, rtol=1e-12)
    last = path[path["step"] == 20].set_index("law")["gap"]
    assert last["natural"] == pytest.approx(path["gap"].iloc[0] * 0.7**40, rel=1e-9)
    first = path[(path["law"] == "gradient") & (path["step"] < 2)]
    rate = first["rate"].iloc[0]  # one step of the gradient by hand
    assert first["m2"].iloc[1] == pytest.approx(0.5 - rate * 0.5 / 0.15**2)


def test_the_corpus_is_the_documentation_of_this_python():
    """Words of one file counted by hand, and no word that is too rare or too common."""
    library = corpus.standard_library(120, min_documents=4, max_share=0.4)
    assert library.counts.shape == (len(library.names), len(library.words)) and len(library.names) > 50
    present = (library.counts > 0).sum(0)
    assert present.min() >= 4 and present.max() <= 0.4 * len(library.names)
    row = library.names.index("argparse.py")
    text = inspect.getsource(__import__("argparse"))
    docs = [ast.get_docstring(node, clean=False) for node in ast.walk(ast.parse(text)) if hasattr(node, "body")
            and isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))]  # fmt: skip
    word = library.words.index("parser")
    counted = sum(len(re.findall(r"\bparser\b", doc.lower())) for doc in docs if doc)
    assert library.counts[row, word] == counted > 0
    with pytest.raises(ValueError, match="no documentation"):
        corpus.standard_library(3, min_documents=10)


def test_both_algorithms_learn_to_predict_hidden_words():
    library = corpus.standard_library(150)
    table, learnt = topics.learn(library, num_topics=6, sweeps=6, num_starts=1)
    uniform = -np.log(len(library.words))
    for _, run in table.groupby("algorithm"):
        assert run["held_out"].iloc[-1] > run["held_out"].iloc[0] and run["held_out"].iloc[-1] > uniform
    words = topics.top_words(library, learnt)
    assert words["share"].sum() == pytest.approx(1) and words["share"].is_monotonic_decreasing and len(words) == 6
