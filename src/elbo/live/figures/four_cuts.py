"""The picture of the book: one number, cut four ways."""

from __future__ import annotations

import torch
from matplotlib.offsetbox import AnnotationBbox, HPacker, TextArea

from elbo.densities import mvn_log_prob
from elbo.estimators.bounds import energy_entropy, evidence_gap, reconstruction_kl, sigma_points
from elbo.figures import style
from elbo.live.quadrature import split, tensor
from elbo.live.spec import Control, Figure
from elbo.models import linear_gaussian as lg

__all__ = ["CUTS", "FIGURE", "terms"]

DATA = (-1.8, -0.6, 0.6, 1.8)
NOISE = 0.5
"""Four data, seen through ``x = z + noise`` of this variance; the prior of ``z`` is N(0, 1)."""

CUTS = (
    (("log p(x)", "evidence", 1, "elbo"), ("KL(q ‖ p(z|x))", "posterior_kl", -1, "average kl")),
    (("energy", "energy", -1, "energy"), ("entropy", "entropy", 1, "entropy")),
    (("reconstruction", "reconstruction", 1, "reconstruction"), ("KL(q ‖ p(z))", "prior_kl", -1, "average kl")),
    (
        ("reconstruction", "reconstruction", 1, "reconstruction"),
        ("information", "information", -1, "mutual information"),
        ("marginal KL", "marginal_kl", -1, "marginal kl"),
    ),
)
"""The four cuts: of each piece its name, its term, its sign and the meaning that gives its colour."""


def terms(mean: float, sd: float, cut: float = 0) -> dict[str, float]:
    r"""The pieces of all four cuts, averaged over the four data, in nats.

    The encoder is :math:`q(z \mid x_n) = N(\mathrm{mean} \cdot x_n / 1.8,\ \mathrm{sd}^2)`:
    ``mean`` is that of the largest datum.
    """
    model = lg.LinearGaussian(
        torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64), tensor(NOISE).log()
    )
    x = tensor(*DATA).unsqueeze(-1)  # (4, 1)
    codes = mean * x / DATA[-1]
    log_var = 2 * tensor(sd).log().expand_as(codes)
    noise = sigma_points(1, x)
    exact, cov = lg.posterior(model, x)

    def likelihood(z: torch.Tensor) -> torch.Tensor:
        return lg.log_likelihood(model, x, z)

    def posterior(z: torch.Tensor) -> torch.Tensor:
        return mvn_log_prob(z, exact, cov)

    gap = evidence_gap(lg.log_evidence(model, x), posterior, codes, log_var, noise)
    energy = energy_entropy(likelihood, codes, log_var, noise)
    penalty = reconstruction_kl(likelihood, codes, log_var, noise)
    parts = split(codes.squeeze(-1), sd)
    return {
        "elbo": gap.elbo.mean().item(),
        "evidence": gap.log_evidence.mean().item(),
        "posterior_kl": gap.posterior_kl.mean().item(),
        "energy": energy.energy.mean().item(),
        "entropy": energy.entropy.mean().item(),
        "reconstruction": penalty.reconstruction.mean().item(),
        "prior_kl": penalty.prior_kl.mean().item(),
        "information": parts.information,
        "marginal_kl": parts.marginal_kl,
    }


def draw(state, found):
    """Four rows of pieces that end on one line, beside the four encodings over their posteriors."""
    figure, axes = style.new(1, 2, height=3.2, width_ratios=[1, 2])
    left, right = axes[0]
    z = torch.linspace(-3.2, 3.2, 300, dtype=torch.float64)
    for x in DATA:
        for mean, sd, look, dashes in (
            (x / (1 + NOISE), (NOISE / (1 + NOISE)) ** 0.5, "p", "--"),
            (state["mean"] * x / DATA[-1], state["sd"], "q", "-"),
        ):
            density = torch.exp(-0.5 * ((z - mean) / sd) ** 2) / (sd * (2 * torch.pi) ** 0.5)
            left.plot(z, density, color=style.COLOUR[look], linestyle=dashes, linewidth=1.2)
    style.panel(left, "q, and posteriors (dashed)", "code z")
    left.set(yticks=[])
    for row, pieces in enumerate(CUTS):
        at = 0.0
        for i, (_, term, sign, meaning) in enumerate(pieces):
            right.barh(row + 0.17 * i, sign * found[term], left=at, height=0.16, color=style.COLOUR[meaning])
            at += sign * found[term]
        words = [
            TextArea(f"{'− ' if sign < 0 else '+ ' if i else ''}{name} {found[term]:.3f}".replace("-", "−"),
                     textprops={"color": style.COLOUR[meaning], "fontsize": style.SMALL})
            for i, (name, term, sign, meaning) in enumerate(pieces)
        ]  # fmt: skip
        line = AnnotationBbox(
            HPacker(children=words, pad=0, sep=4), (-4.55, row - 0.3), frameon=False, box_alignment=(0, 0.5), pad=0
        )
        right.add_artist(line)
    style.guide(right.axvline(found["elbo"], color="k", linewidth=1.2, linestyle=(0, (2, 2))))
    right.set(xlim=(-4.6, 0.6), ylim=(3.6, -0.7), yticks=[])
    right.spines["left"].set_visible(False)
    style.panel(right, f"ELBO = {found['elbo']:.3f} nats, four times".replace("-", "−"), "nats per datum")
    return figure


_SUM = "ELBO = {elbo:.3f} nats per datum = "
FIGURE = Figure(
    id="elbo-four-cuts",
    question="What changes when the same bound is cut another way?",
    caption="What changes when the same bound is cut another way? The pieces, never the sum. The ELBO per datum of one "
    "encoder of four data, {elbo:.3f} nats: evidence {evidence:.3f} less a gap of {posterior_kl:.3f}; entropy "
    "{entropy:.3f} less energy {energy:.3f}; reconstruction {reconstruction:.3f} less a penalty of {prior_kl:.3f}, "
    "itself {information:.3f} of information and a marginal KL of {marginal_kl:.3f}.",
    alt="Left, four narrow blue bells over four dashed posteriors. Right, four rows of coloured bars of different "
    "pieces; every row ends on the same vertical line, at {elbo:.3f} nats.",
    controls=(
        Control("mean", "Mean of q at the largest datum", 1.0, 0, 2.4, 0.02, digits=2),
        Control("sd", "Standard deviation of q", 0.4, 0.1, 1.2, 0.02, digits=2),
        Control("cut", "Cut it as", 0, options=("evidence", "energy", "penalty", "surgery")),
    ),
    text_by="cut",
    texts=(
        _SUM + "log p(x) {evidence:.3f} minus KL(q ‖ posterior) {posterior_kl:.3f}.",
        _SUM + "entropy {entropy:.3f} minus energy {energy:.3f}.",
        _SUM + "reconstruction {reconstruction:.3f} minus KL(q ‖ prior) {prior_kl:.3f}.",
        _SUM + "reconstruction {reconstruction:.3f} minus information {information:.3f} minus marginal KL "
        "{marginal_kl:.3f}.",
    ),
    terms=terms,
    draw=draw,
    constants={"data": list(DATA), "noise": NOISE},
    height=(340, 520),
)
