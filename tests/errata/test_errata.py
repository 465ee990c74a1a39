"""Every check of the errata page: the correction is right, what is printed is not, and the exact
value is exact by a third route.
"""

import math
import re

import pytest
import torch
from torch import distributions

from checkout import ROOT
from elbo import densities
from elbo.errata import CHECKS, Row, data_set
from elbo.errata.page import table, wrong
from elbo.models import linear_gaussian

PAGE = (ROOT / "book" / "errata.md").read_text()
ON_PAGE = re.findall(r"^```\{erratum-check\} (\S+)$", PAGE, re.MULTILINE)
FLOAT = {"dtype": torch.float64}


def test_the_page_shows_every_check_once():
    assert sorted(ON_PAGE) == sorted(CHECKS)


def test_every_erratum_has_a_check_or_says_that_it_was_read():
    found = re.findall(r"^\*\*(.+?)\.\*\*\s+\*Printed:\*(.*?)(?=^\*\*|^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert len(found) > 20
    for title, text in found:
        checked = "```{erratum-check}" in text or "{eq}`" in text
        assert checked or re.search(r"by reading", text, re.IGNORECASE), title


def test_the_page_of_the_timeline_leads_to_every_correction_of_it_that_has_numbers():
    timeline = (ROOT / "book" / "timeline.md").read_text()
    led_to = set(re.findall(r"errata\.html#erratum-([a-z-]+)", timeline))
    of_the_timeline = re.findall(r"^```\{erratum-check\} (\S+)$", PAGE[: PAGE.index("## The papers")], re.MULTILINE)
    assert led_to == set(of_the_timeline)


@pytest.mark.parametrize("name", CHECKS)
def test_the_correction_is_exact_and_the_printed_text_is_not(name):
    rows = CHECKS[name]()
    assert not wrong(rows)
    assert any(row.printed is not None for row in rows) or name == "cost-of-the-evidence"
    for row in rows:
        if row.printed == "positive":
            assert row.exact <= 0
        elif row.printed == "negative":
            assert row.exact >= 0.1
        elif row.printed is not None:
            assert abs(row.printed - row.exact) > 0.1 * max(abs(row.exact), 1e-3), row.case


def test_a_wrong_correction_is_found():
    assert wrong([Row("fine", 1.0, 2.0, 1.0), Row("off", 1.0, 2.0, 1.001)]) == "off"
    assert wrong([Row("lost", math.nan, 2.0, 1.0)]) == "lost"


def test_the_table_shows_numbers_words_and_what_there_is_not():
    shown = table([Row("a <b>", -0.5, "negative", 1e-12), Row("c", 2.0, None, 2.0)])
    texts = [entry.astext() for entry in shown.findall(lambda node: node.tagname == "entry")]
    assert texts[4:] == ["a <b>", "−0.5", "negative", "1e−12", "c", "2", "–", "2"]
    assert all(texts[:4])  # a header without text is none to a screen reader


def row(name: str, index: int = 0) -> Row:
    return CHECKS[name]()[index]


def test_the_example_of_the_bound_against_the_linear_gaussian_model():
    model = linear_gaussian.LinearGaussian(
        torch.ones(1, 1, **FLOAT), torch.zeros(1, **FLOAT), torch.tensor([0.5], **FLOAT).log()
    )
    x, mean, cov = torch.ones(1, **FLOAT), torch.tensor([0.5], **FLOAT), torch.tensor([[0.25]], **FLOAT)
    exact = linear_gaussian.elbo(model, x, mean, cov).item()
    assert row("sign-of-the-evidence").exact == pytest.approx(exact, abs=1e-10)
    assert row("sign-of-the-evidence").printed == pytest.approx(
        exact - 2 * linear_gaussian.log_evidence(model, x).item(), abs=1e-10
    )
    posterior_mean, posterior_cov = linear_gaussian.posterior(model, x)
    at_zero = (
        distributions.Normal(posterior_mean, posterior_cov[0].sqrt()).log_prob(torch.zeros(1, **FLOAT)).exp().item()
    )
    assert row("prior-counted-twice", 1).exact == pytest.approx(at_zero, abs=1e-10)
    assert row("entropy-rewards-spreading", 1).exact == pytest.approx(posterior_cov.sqrt().item(), abs=1e-6)
    assert row("sign-of-the-entropy").exact == pytest.approx(
        densities.gaussian_entropy(torch.tensor([0.25], **FLOAT).log()).item()
    )


@pytest.mark.parametrize("index", [0, 1, 2])
def test_divergences_against_torch_distributions(index):
    mean, variance = [(0.0, 0.25), (0.0, 4.0), (1.0, 1.0)][index]
    q = distributions.Normal(torch.full((3,), mean, **FLOAT), torch.full((3,), variance, **FLOAT).sqrt())
    p = distributions.Normal(torch.zeros(3, **FLOAT), torch.ones(3, **FLOAT))
    assert row("kl-of-isotropic-gaussians", index).exact == pytest.approx(
        distributions.kl_divergence(q, p).sum().item(), abs=1e-8
    )


def test_the_data_set_against_torch_distributions_and_monte_carlo():
    mean, variance = torch.tensor(data_set.MEAN), torch.tensor(data_set.VARIANCE)
    q = distributions.Normal(mean, variance.sqrt())
    each = distributions.kl_divergence(q, distributions.Normal(torch.zeros(4, **FLOAT), torch.ones(4, **FLOAT)))
    information, marginal = row("stray-sum").exact, row("divergence-of-the-average").exact
    assert information + marginal == pytest.approx(each.mean().item(), abs=1e-10)
    generator = torch.Generator().manual_seed(0)
    z = mean + variance.sqrt() * torch.randn(200_000, 4, generator=generator, **FLOAT)
    log_mixture = q.log_prob(z[..., None]).logsumexp(-1) - math.log(4)
    terms = (q.log_prob(z) - log_mixture).mean(1)
    assert abs(terms.mean().item() - information) < 4 * terms.std().item() / len(terms) ** 0.5
    assert row("stray-sum").printed == pytest.approx(4 * information)


def test_the_beta_optimum_is_the_tempered_posterior():
    model = linear_gaussian.LinearGaussian(
        torch.tensor([[1.3]], **FLOAT), torch.zeros(1, **FLOAT), torch.tensor([0.5], **FLOAT).log()
    )
    mean, cov = linear_gaussian.posterior(linear_gaussian.temper(model, 4.0), torch.tensor([1.5], **FLOAT))
    assert row("not-a-prior-variance", 0).exact == pytest.approx(cov.item(), abs=1e-6)
    assert row("not-a-prior-variance", 1).exact == pytest.approx(mean.item(), abs=1e-6)
    assert row("not-a-prior-variance", 2).exact < 0


def test_the_free_energy_lies_below_the_energy_for_every_law_on_three_states():
    joint = torch.tensor([0.2, 0.1, 0.05], **FLOAT)
    q = (4 * torch.randn(1000, 3, generator=torch.Generator().manual_seed(0), **FLOAT)).softmax(-1)
    energy = -(q * joint.log()).sum(-1)
    minus_elbo = energy + torch.xlogy(q, q).sum(-1)
    assert (minus_elbo <= energy).all() and (minus_elbo >= -joint.sum().log() - 1e-12).all()
