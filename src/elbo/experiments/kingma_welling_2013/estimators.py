"""Estimators of the marginal likelihood against its exact value, and where the paper's breaks down."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor

from elbo.estimators import marginal_likelihood as ml
from elbo.experiments.kingma_welling_2013.evidence import grid_evidence
from elbo.experiments.kingma_welling_2013.training import Run
from elbo.models import linear_gaussian

__all__ = ["breakdown", "estimators"]


class _Judge(NamedTuple):
    """Simulated data of one model: their joint density, the codes they came from, an
    encoder's q, and the exact answer.
    """

    name: str
    log_joint: Callable[[Tensor], Tensor]
    z: Tensor  # (batch, D)
    proposal: ml.Gaussian
    exact: Tensor  # (batch,)


def estimators(
    run: Run,
    *,
    images: int = 60,
    draws: int = 500,
    temperatures: tuple[int, int] = (10, 100),
    twin_dim: int = 5,
    seed: int = 0,
) -> pd.DataFrame:
    """Every estimator of the marginal likelihood on two models where it is known.

    The two models: the trained decoder of two latents, whose evidence is an integral over the plane, by quadrature; and
    the linear-Gaussian twin, by its closed form, with a proposal that is deliberately half as wide again as the
    posterior. Both on data that the model itself has drawn, so that the code of each datum is an exact draw from its
    posterior, where annealing can start backwards. Of a decoder with Gaussian pixels (Frey faces) there is no
    quadrature here, and the twin stands alone.

    Args:
        images: simulated data of each model.
        draws: of the importance-weighted bound.
        temperatures: of a short and a long path of annealing.
        twin_dim: latents of the linear-Gaussian model.

    Returns:
        One row a model and estimator: ``error``, the mean over data of the estimate minus the exact value (nats), its
        standard error ``se`` over data (the estimator's own noise and its bias from datum to datum), ``claimed``, the
        standard error of that mean according to the estimator itself, ``side`` (``lower`` or ``upper``: where it is in
        expectation), ``exact`` (mean), ``place``, its row in a list from the bottom.
    """
    rows = []
    judges = [_decoder(run, images, seed)] if run.settings.likelihood == "bernoulli" else []
    for judge in (*judges, _twin(twin_dim, images, seed)):
        generator = torch.Generator(judge.z.device).manual_seed(seed)
        for name, found in _estimates(judge, draws, temperatures, generator):
            error = found.log_evidence.double() - judge.exact
            own = {
                "error": float(error.mean()),
                "se": float(error.std() / math.sqrt(len(error))),
                "claimed": found.mean_error,
            }
            rows.append(
                {"model": judge.name, "estimator": name, **own, "side": found.bound, "exact": float(judge.exact.mean())}
            )
    table = pd.DataFrame(rows)
    names = list(dict.fromkeys(table.estimator))
    return table.assign(place=[len(names) - 1 - names.index(name) for name in table.estimator])


def _estimates(judge: _Judge, draws: int, temperatures: tuple[int, int], generator: torch.Generator):
    z = judge.z
    batch, dim = z.shape

    def noise(chains: int) -> Tensor:
        return torch.randn(chains, batch, dim, generator=generator, dtype=z.dtype, device=z.device)

    for number in (2, draws):
        name = f"importance, k = {number}"
        yield name, ml.importance(judge.log_joint, judge.proposal, draws=number, generator=generator)
    options = {"warmup": 50, "generator": generator}
    yield "appendix D, 50 draws", ml.gelfand_dey(judge.log_joint, noise(1), draws=50, **options)
    yield f"appendix D, {5 * draws} draws", ml.gelfand_dey(judge.log_joint, noise(10), draws=draws // 2, **options)
    base = ml.Gaussian.standard(batch, dim, z)
    for number in temperatures:
        schedule = ml.tune_schedule(
            judge.log_joint, base, ml.sigmoid_temperatures(number), generator=generator, chains=4
        )
        yield f"AIS forward, {number} steps", ml.ais(judge.log_joint, schedule, chains=10, generator=generator)
        start = z.expand(10, -1, -1)
        yield f"AIS reverse, {number} steps", ml.ais_reverse(judge.log_joint, start, schedule, generator=generator)


def _decoder(run: Run, images: int, seed: int) -> _Judge:
    member = run.members(2)[0]
    model, params = (
        run.trained.member_model(member),
        {n: p.detach().cpu() for n, p in run.trained.member(member).items()},
    )
    with torch.no_grad():
        z, x = model.sample(params, images, torch.Generator().manual_seed(seed))
        proposal = ml.Gaussian.diagonal(*model.encode(params, x))
    exact = grid_evidence(model, params, x, per_side=400)
    return _Judge("decoder, 2 latents", partial(model.log_joint, params, x), z, proposal, exact)


def _twin(dim: int, images: int, seed: int) -> _Judge:
    generator = torch.Generator().manual_seed(seed)
    model = linear_gaussian.random_model(4 * dim, dim, generator)
    x, z = linear_gaussian.sample(model, images, generator)
    mean, cov = linear_gaussian.posterior(model, x)
    chol = torch.linalg.cholesky(1.5 * cov)
    proposal = ml.Gaussian(mean, chol.expand(images, dim, dim))
    name = f"linear-Gaussian, {dim} latents"
    return _Judge(
        name, partial(linear_gaussian.log_joint, model, x), z, proposal, linear_gaussian.log_evidence(model, x)
    )


def breakdown(
    *, dims: tuple[int, ...] = (2, 3, 5, 7, 10, 15, 20, 30, 40), draws: int = 50, repeats: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Appendix D's estimate with the paper's 50 draws on exact draws of a Gaussian posterior, by the number of latents.

    Returns:
        One row a ``dim``: ``rms`` (root of the mean squared error of the estimate, nats, with standard error
        ``rms_se``), ``claimed`` (median standard error that the estimate claims), ``infinite`` (share of the fits
        whose weights have no variance, exactly, with standard error ``infinite_se``), ``effective`` (median
        effective number of draws), ``draws``.
    """
    rows = []
    for dim in dims:
        found = ml.reciprocal_breakdown(
            dim, draws=draws, repeats=repeats, generator=torch.Generator().manual_seed(seed + dim)
        )
        square = found.error.square()
        rms, share = float(square.mean().sqrt()), float(found.log_second_moment.isinf().double().mean())
        rows.append(
            {
                "dim": dim,
                "rms": rms,
                "rms_se": float(square.std() / math.sqrt(repeats) / (2 * rms)),
                "claimed": float(found.standard_error.median()),
                "infinite": share,
                "infinite_se": math.sqrt(share * (1 - share) / repeats),
                "effective": float(found.effective_fraction.median()) * draws,
                "draws": draws,
            }
        )
    return pd.DataFrame(rows)
