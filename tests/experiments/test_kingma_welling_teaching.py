"""What the chapter on Kingma & Welling (2013) measures beside the paper: the encoder's price, draws against images,
other laws; its pictures, its words and its exercises.
"""

import ast
import re

import jupytext
import pandas as pd
import pytest
import torch

from checkout import ROOT
from elbo import reference
from elbo.companion.kernel.drawn import mismatch
from elbo.experiments import kingma_welling_2013 as experiments
from elbo.experiments.kingma_welling_2013 import exercises, words
from elbo.experiments.kingma_welling_2013.amortisation import best_gaussian
from elbo.experiments.kingma_welling_2013.draws import gradient_parts, image_gradients
from elbo.experiments.kingma_welling_2013.evidence import grid_evidence
from elbo.experiments.kingma_welling_2013.pictures_at_scale import LEVELS, pack, unpack
from elbo.experiments.kingma_welling_2013.reparameterisations import LAWS, gradient_by_quadrature
from elbo.experiments.kingma_welling_2013.training import some_images
from elbo.figures import kingma_welling_2013 as figures
from elbo.inference.sgvb import sgvb_b
from elbo.models import linear_gaussian
from elbo.models.vae import VAE

CHAPTER = ROOT / "book" / "kingma-welling-2013.md"


@pytest.fixture(scope="module")
def run():
    torch.set_num_threads(1)
    chosen = experiments.settings("digits", latent_dims=[2, 5], seeds=[0], samples=10_000, hidden=30)
    return experiments.train("digits", chosen, device="cpu", evaluations=4)


@pytest.fixture(scope="module")
def gap(run):
    return experiments.amortisation_gap(run.trained, run.test, images=12, draws=2000, steps=150)


def test_the_climb_ends_at_the_best_gaussian_of_the_twin():
    generator = torch.Generator().manual_seed(2)
    twin = linear_gaussian.random_model(8, 3, generator)
    x, _ = linear_gaussian.sample(twin, 5, generator)
    mean, log_var = linear_gaussian.mean_field_posterior(twin, x)
    start = (mean + 1.0, torch.zeros_like(mean))

    def log_joint(z):
        return linear_gaussian.log_joint(twin, x, z)

    found, width = best_gaussian(log_joint, *start, generator, steps=1500, draws=32, learning_rate=0.05)
    best, ours = (
        linear_gaussian.elbo(twin, x, m, torch.diag_embed(v.exp().expand_as(m)))
        for m, v in ((mean, log_var), (found, width))
    )
    far = linear_gaussian.elbo(twin, x, start[0], torch.diag_embed(start[1].exp()))
    assert (best - far > 0.5).all() and (best - ours < 2e-3).all() and (ours <= best + 1e-9).all()


def test_the_evidence_of_the_gap_is_that_of_the_grid(run, gap):
    own = gap[gap.latent_dim == 2]
    member = run.members(2)[0]
    x = some_images(run.test, 12, torch.Generator().manual_seed(0))
    exact = grid_evidence(run.trained.member_model(member), run.trained.member(member), x, per_side=300)
    difference = torch.tensor(own.log_evidence.to_numpy()) - exact
    assert difference.mean().abs() < 4 * difference.std() / 12**0.5 and difference.std() < 0.05
    assert own.approximation.mean() > 0 and (own.amortisation > -0.01).all() and own.amortisation.mean() > 0.005


def test_gaps_by_size_with_their_errors(gap):
    table = experiments.gap_by_size(gap).set_index("latent_dim")
    own = gap[gap.latent_dim == 5]
    assert table.amortisation[5] == pytest.approx(own.amortisation.mean())
    assert table.amortisation_se[5] == pytest.approx(own.amortisation.std() / len(own) ** 0.5)


def test_one_posterior_is_the_joint_density_on_a_grid(run, gap):
    one = experiments.posterior_of_one(run.trained, run.test, gap, images=12, side=31)
    grid = one[one.panel == "grid"]
    member = run.members(2)[0]
    model, params = run.trained.member_model(member), run.trained.member(member)
    image = int(gap[gap.latent_dim == 2].sort_values("amortisation").image.iloc[round(0.85 * 11)])
    x = some_images(run.test, 12, torch.Generator().manual_seed(0))[image][None]
    z = torch.tensor(grid[["z_1", "z_2"]].to_numpy(), dtype=torch.float32)
    log_p = model.log_joint(params, x, z[:, None])[:, 0].double()
    torch.testing.assert_close(torch.tensor(grid.density.to_numpy()), (log_p - log_p.max()).exp(), rtol=1e-4, atol=1e-6)
    assert set(one.name.dropna()) == {"encoder", "best"}
    drawn = pd.concat([one, experiments.gap_by_size(gap)])
    assert mismatch(figures.amortisation_gap(one, experiments.gap_by_size(gap)), drawn) is None


def test_gradients_of_images_add_up_to_the_batchs(run):
    member = run.members(5)[0]
    model, params = run.trained.member_model(member), run.trained.member(member)
    x, eps = run.test.images[:6], torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(1))
    each = image_gradients(model, params, x, eps)
    leaves = {name: param.clone().requires_grad_() for name, param in params.items()}
    sgvb_b(model, leaves, x, eps[0]).mean().backward()
    whole = torch.cat([leaves[name].grad.flatten() for name in sorted(leaves)])
    torch.testing.assert_close(each[0].mean(0), whole, rtol=1e-3, atol=1e-5)


def test_parts_of_the_variance_are_recovered_without_bias():
    """Images of variance 4 and draws of variance 9 around them, in 50 coordinates, 400
    repetitions of 8 images and 3 draws.
    """
    generator = torch.Generator().manual_seed(0)
    found = []
    for _ in range(400):
        centre = 2 * torch.randn(1, 8, 50, generator=generator, dtype=torch.float64)
        found.append(gradient_parts(centre + 3 * torch.randn(3, 8, 50, generator=generator, dtype=torch.float64)))
    found = torch.tensor(found)
    error = found.std(0) / 20
    assert ((found.mean(0) - torch.tensor([200.0, 450.0])).abs() < 4 * error).all()
    assert (4 * error < torch.tensor([20.0, 20.0])).all()


def test_draws_and_batches_predicts_the_noise_of_minibatches(run):
    """Against minibatches that are really drawn: 3 draws of each of 20 images."""
    table = experiments.draws_and_batches(run, latent_dim=5, draws=(1, 3), batches=(20,), images=200, repeats=8)
    member = run.members(5)[0]
    model, params = run.trained.member_model(member), run.trained.member(member)
    generator = torch.Generator().manual_seed(9)
    steps = []
    for _ in range(150):
        x = run.train.images[torch.randint(len(run.train), (20,), generator=generator)]
        x = (torch.rand(x.shape, generator=generator) < x).float()
        steps.append(image_gradients(model, params, x, torch.randn(3, 20, 5, generator=generator)).mean((0, 1)))
    measured = torch.stack(steps).double().var(0).sum().sqrt().item()
    assert measured == pytest.approx(table[table.draws == 3].sd.item(), rel=0.12)
    assert table[table.draws == 1].sd.item() > 1.2 * measured
    assert mismatch(figures.draws_and_batches(table), table) is None


@pytest.mark.parametrize("law", LAWS, ids=[law.name for law in LAWS])
def test_a_draw_has_its_law(law):
    """Kolmogorov's distance of 4,000 draws from the law's own distribution function, by quadrature of its density."""
    theta = torch.tensor(law.theta, dtype=torch.float64)
    z = law.draw(theta, law.noise(4000, torch.Generator().manual_seed(3))).sort().values
    low, high = law.support
    nodes = low + (high - low) * (torch.arange(400_000, dtype=torch.float64) + 0.5) / 400_000
    mass = law.law(theta.expand_as(nodes)).log_prob(nodes).exp().cumsum(0) * (high - low) / 400_000
    assert mass[-1] == pytest.approx(1, abs=1e-3)
    place = torch.searchsorted(nodes, z).clamp(max=len(nodes) - 1)
    empirical = (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000
    assert (mass[place] - empirical).abs().max() < 1.95 / 4000**0.5  # exceeded once in a thousand


def test_gradients_through_the_draw_are_those_of_quadrature():
    table = experiments.reparameterisations(draws=40_000, seed=4)
    assert len(table) == len(LAWS)
    z = (table.gradient - table.exact) / table.se
    assert z.abs().max() < 4 and (table.exact.abs() > 3 * table.se).all()
    exponential = next(law for law in LAWS if law.name.startswith("exponential"))
    # E tanh z for an exponential of rate t is t (psi((t + 2) / 4) - psi(t / 4)) / 2 - 1
    t = torch.tensor(exponential.theta, dtype=torch.float64, requires_grad=True)
    (t * (torch.digamma((t + 2) / 4) - torch.digamma(t / 4)) / 2 - 1).backward()
    assert gradient_by_quadrature(exponential) == pytest.approx(t.grad.item(), rel=1e-6)


def test_pictures_come_back_from_their_text():
    images = torch.rand(3, 20, generator=torch.Generator().manual_seed(0))
    table = unpack(pd.DataFrame({"tile": range(3), "pixels": pack(images)}))
    back = torch.tensor(table.filter(like="pixel_").to_numpy(), dtype=torch.float32)
    assert (back - images).abs().max() < 0.5 / 63 + 6e-4
    assert len(LEVELS) == len(set(LEVELS)) == 64


def test_pictures_of_the_run_itself(run, monkeypatch):
    monkeypatch.setattr(reference, "load", lambda *_: None)
    table, shape, name = experiments.pictures(run)
    assert (shape, name) == ((8, 8), "digits")
    walk = experiments.one_walk(table)
    assert list(walk.panel) == ["test", "reconstruction"]
    code = walk.iloc[1]
    penalty = (
        sum(code[f"mean_{d}"] ** 2 + code[f"sd_{d}"] ** 2 - 1 - 2 * torch.tensor(code[f"sd_{d}"]).log() for d in (1, 2))
        / 2
    )
    assert code.penalty == pytest.approx(float(penalty), abs=0.02)
    x, y = (torch.tensor(row.filter(like="pixel_").to_numpy(float)) for _, row in walk.iterrows())
    y = y.clamp(1e-3, 1 - 1e-3)
    assert code.likelihood == pytest.approx(float((x * y.log() + (1 - x) * (1 - y).log()).sum()), abs=1.5)
    assert mismatch(figures.autoencoder(walk, shape), walk) is None


def test_kept_pictures_and_gaps_can_be_drawn(run):
    table, shape, name = experiments.pictures(run)
    assert (shape, name) == ((28, 28), "MNIST")
    for drawer, panels in ((figures.manifold, ["manifold"]), (figures.prior_samples, ["samples"]),
                           (figures.reconstructions, ["test", "reconstruction"])):  # fmt: skip
        own = table[table.panel.isin(panels)]
        assert mismatch(drawer(own, shape), own) is None
    gaps, one, whose = experiments.gaps(run)
    assert whose == "MNIST" and (gaps.amortisation > 0).all() and (gaps.approximation > 0).all()
    assert mismatch(figures.amortisation_gap(one, gaps), pd.concat([one, gaps])) is None


def test_words_are_read_off_the_tables():
    rows = [
        {
            "algorithm": name,
            "latent_dim": size,
            "seed": 0,
            "split": split,
            "samples": samples,
            "data": "mnist",
            "bound": base
            + size / 10
            - (2 if split == "test" else 0)
            - (1000 if (name, size) == ("wake-sleep", 200) else 0)
            + (samples == 500) * (size == 20) * 4,
        }
        for name, base in (("aevb", -100.0), ("wake-sleep", -107.0))
        for size in (3, 20, 200)
        for split in ("train", "test")
        for samples in (500, 3_000_000)
    ]
    said = words.bound_at_scale(pd.DataFrame(rows), "mnist")
    assert said["mnist-lead-min"] == said["mnist-lead-max"] == "7.0" and said["mnist-ahead"] == "2 of 2"
    assert "with 200 latents came apart" in said["mnist-apart"] and said["mnist-end"] == "3 million"
    assert said["mnist-fall"] == "4.0" and said["mnist-fall-size"] == "20" and said["mnist-gap-max"] == "2.0"
    assert said["mnist-best"] == "\N{MINUS SIGN}82.0"
    traded = pd.DataFrame(
        [
            {"draws": draws, "batch": 100 // draws, "passes": 100, "between": 100.0, "within": 300.0, "latent_dim": 5}
            for draws in (1, 10)
        ]
    )
    said = words.draws(traded)
    assert (said["draws-one-sd"], said["draws-many-sd"], said["draws-share"]) == ("2.0", "3.6", "75")


def test_the_best_baseline_in_closed_form():
    for mean in (0.0, 1.0, 2.5):
        best, plain, with_best, path = exercises.best_baseline(mean=mean)
        assert best == pytest.approx(mean**2 + 3)
        # E[f^2 s^2] - (2 mu)^2 with the moments 1, 3, 15 of s
        assert plain == pytest.approx(mean**4 + 3 * 6 * mean**2 + 15 - 4 * mean**2)
        assert with_best == pytest.approx(plain - best**2) and path == pytest.approx(4)
    assert exercises.answers()["answer-kl"] == "0.443"


def _cells(tag):
    return [cell.source for cell in jupytext.read(CHAPTER).cells if tag in cell.metadata.get("tags", [])]


def test_solutions_in_code_run_and_say_what_the_text_says():
    """The exercises and their solutions are executed as they stand in the chapter,
    shortened by their parameter alone.
    """
    names = {"exercise_samples": 6000, "pd": pd, "torch": torch, "VAE": VAE}
    exec("from elbo import densities\nfrom elbo.data import load\nfrom elbo.inference import aevb", names)
    torch.set_num_threads(1)
    first, second = _cells("exercise")
    one, two = _cells("solution")
    for source in (first, one, second, two):
        *body, last = ast.parse(source).body
        assert isinstance(last, ast.Expr)
        exec(compile(ast.Module(body, []), str(CHAPTER), "exec"), names)
    with_price, without = names["solution_beta"].to_dict("records")
    assert without["reconstruction"] > with_price["reconstruction"] + 1
    assert without["held-out bound"] < with_price["held-out bound"] - 1
    assert without["penalty"] > 2 * with_price["penalty"]
    assert names["solution_draws"].shape == (3, 2) and names["solution_draws"].notna().all(axis=None)
    said = exercises.solutions(names["solution_beta"], names["solution_draws"])
    assert float(said["solution-gain"]) > 1 and float(said["solution-penalty-zero"]) > float(
        said["solution-penalty-one"]
    )


def test_every_number_in_the_prose_has_a_name_that_is_said():
    """Names in ``{glue:text}`` roles, against the keys that the functions of words.py and exercises.py give."""
    text = CHAPTER.read_text()
    used = set(re.findall(r"\{glue:text\}`([^`]+)`", text))
    source = (ROOT / "src/elbo/experiments/kingma_welling_2013/words.py").read_text()
    keys = set(re.findall(r'f?"([a-z{}-]+[a-z}])"(?::|\] = )', source)) | set(exercises.answers())
    patterns = [re.compile(re.sub(r"\\\{\w+\\\}", "[a-z0-9]+", re.escape(key)) + "$") for key in keys]
    patterns += [re.compile(f"(mnist|frey|burda|pair)-{re.escape(key)}$") for key in keys]
    patterns.append(re.compile(r"solution-[a-z-]+$"))
    patterns.append(re.compile(r"paper-frey-\d+-(then|last)$"))
    assert used and not [name for name in used if not any(pattern.match(name) for pattern in patterns)]


def test_the_doubly_reparameterised_gradient_is_unbiased_and_does_not_drown():
    table = experiments.gradient_signal(draws=(1, 8, 64), repeats=300, data=8)
    wide = table.pivot(index="draws", columns="estimator", values="ratio")
    assert table.bias_z.between(0.8, 1.25).all()  # 64 coordinates and data: about 1 where the two means agree
    assert wide.plain.is_monotonic_decreasing and wide.plain[64] < 0.5 * wide.plain[1]
    assert wide.doubly.min() > 0.9 * wide.doubly[1] and wide.doubly[64] > 4 * wide.plain[64]
    assert mismatch(figures.gradient_signal(table), table) is None
