"""Two optimisers as values: what they remember, and the update in place on a stack of models.

Elementwise, so that the models of a stack do not touch each other; each model may have its own learning rate.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Adagrad", "Adam", "make_optimiser"]

Params = dict[str, Tensor]
State = dict[str, Tensor]


@dataclass(frozen=True)
class Adagrad:
    r"""Adagrad (Duchi, Hazan & Singer, 2011), the optimiser of Kingma & Welling (2013).

    .. math:: s \leftarrow s + g^2, \qquad \theta \leftarrow \theta - \eta\, g / (\sqrt{s} + \epsilon)

    Attributes:
        learning_rate: :math:`\eta`; one number, or one for each member of the stack.
        eps: :math:`\epsilon`.
    """

    learning_rate: float | tuple[float, ...] = 0.02
    eps: float = 1e-10

    def init(self, params: Params) -> State:
        """The accumulator of every parameter, at zero."""
        return {f"sum/{name}": torch.zeros_like(param) for name, param in params.items()}

    def update(self, params: Params, grads: Params, state: State, rate: Tensor) -> None:
        """One step in place, in plain operations that compile and capture; ``rate`` is ``(members,)``."""
        for name, param in params.items():
            total = state[f"sum/{name}"]
            total.addcmul_(grads[name], grads[name])
            param.sub_(_like(rate, param) * grads[name] / (total.sqrt() + self.eps))

    def fused_update(self, params: Params, grads: Params, state: State) -> None:
        """The same step through torch's fused kernel on the CPU."""
        steps = [torch.ones(()) for _ in params]
        for rate, pick in _by_rate(self.learning_rate, params):
            torch._fused_adagrad_(
                [pick(p) for p in params.values()],
                [pick(grads[n].contiguous()) for n in params],
                [pick(state[f"sum/{n}"]) for n in params],
                steps,
                lr=rate,
                lr_decay=0.0,
                weight_decay=0.0,
                eps=self.eps,
                maximize=False,
            )


@dataclass(frozen=True)
class Adam:
    r"""Adam (Kingma & Ba, 2015).

    .. math:: m \leftarrow \beta_1 m + (1-\beta_1) g, \quad v \leftarrow \beta_2 v + (1-\beta_2) g^2, \quad
              \theta \leftarrow \theta - \eta\, \frac{m / (1-\beta_1^t)}{\sqrt{v / (1-\beta_2^t)} + \epsilon}

    Attributes:
        learning_rate: :math:`\eta`; one number, or one for each member of the stack.
        beta1, beta2, eps: as above.
        stages: how the learning rate changes, ``(after, factor)`` in order of ``after``: once that many steps are taken
            it is :math:`\eta` times ``factor``. Empty: it never changes.
    """

    learning_rate: float | tuple[float, ...] = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    stages: tuple[tuple[int, float], ...] = ()

    def __post_init__(self) -> None:
        starts = [after for after, _ in self.stages]
        if starts != sorted(set(starts)) or any(factor <= 0 for _, factor in self.stages):
            raise ValueError(f"stages must be (after, factor) with rising after and positive factor, got {self.stages}")

    def init(self, params: Params) -> State:
        """Both moments of every parameter and the number of steps taken, at zero."""
        moments = {f"{slot}/{n}": torch.zeros_like(p) for slot in ("first", "second") for n, p in params.items()}
        return moments | {"steps": torch.zeros((), dtype=torch.float64, device=next(iter(params.values())).device)}

    def update(self, params: Params, grads: Params, state: State, rate: Tensor) -> None:
        """One step in place, in plain operations that compile and capture; ``rate`` is ``(members,)``."""
        steps = state["steps"].add_(1)
        dtype = next(iter(params.values())).dtype
        factor = torch.ones_like(steps)
        for after, changed in self.stages:  # on the device: a captured step must see it change
            factor = torch.where(steps > after, changed, factor)
        rate = rate * factor.to(dtype)
        correct1, correct2 = (1 - self.beta1**steps).to(dtype), (1 - self.beta2**steps).to(dtype)
        for name, param in params.items():
            first, second, grad = state[f"first/{name}"], state[f"second/{name}"], grads[name]
            first.mul_(self.beta1).add_(grad, alpha=1 - self.beta1)
            second.mul_(self.beta2).addcmul_(grad, grad, value=1 - self.beta2)
            scale = (second / correct2).sqrt() + self.eps
            param.sub_(_like(rate, param) * (first / correct1) / scale)

    def fused_update(self, params: Params, grads: Params, state: State) -> None:
        """The same step through torch's fused kernel on the CPU."""
        steps = [state["steps"].add_(1)] * len(params)
        factor = ([1.0] + [changed for after, changed in self.stages if state["steps"] > after])[-1]
        for rate, pick in _by_rate(self.learning_rate, params):
            torch._fused_adam_(
                [pick(p) for p in params.values()],
                [pick(grads[n].contiguous()) for n in params],
                [pick(state[f"first/{n}"]) for n in params],
                [pick(state[f"second/{n}"]) for n in params],
                [],
                steps,
                lr=rate * factor,
                beta1=self.beta1,
                beta2=self.beta2,
                weight_decay=0.0,
                eps=self.eps,
                amsgrad=False,
                maximize=False,
            )


def make_optimiser(name: str | Adagrad | Adam, learning_rate: float | Sequence[float] | None = None) -> Adagrad | Adam:
    """The optimiser of a name, ``"adagrad"`` or ``"adam"``; ``None`` takes its default learning rate.

    An :class:`Adagrad` or :class:`Adam` is taken as it is, with its own learning rate.

    Raises:
        ValueError: another name, a learning rate that is not positive, or one beside an optimiser that has its own.
    """
    kinds: dict[str, type[Adagrad] | type[Adam]] = {"adagrad": Adagrad, "adam": Adam}
    if isinstance(name, (Adagrad, Adam)):
        if learning_rate is not None:
            raise ValueError(f"the optimiser has a learning rate, {name.learning_rate}; do not pass another beside it")
        return name
    if name not in kinds:
        raise ValueError(f"optimiser must be 'adagrad' or 'adam', got {name!r}")
    if learning_rate is None:
        return kinds[name]()
    rates = (learning_rate,) if isinstance(learning_rate, (int, float)) else tuple(map(float, learning_rate))
    if not all(rate > 0 for rate in rates):
        raise ValueError(f"learning_rate must be positive, got {learning_rate}")
    return kinds[name](float(learning_rate) if isinstance(learning_rate, (int, float)) else rates)


def _like(rate: Tensor, param: Tensor) -> Tensor:
    return rate.view(-1, *[1] * (param.dim() - 1))


def _by_rate(
    learning_rate: float | tuple[float, ...], params: Params
) -> Iterator[tuple[float, Callable[[Tensor], Tensor]]]:
    """Learning rates with a function that picks the members they are for; the fused kernels take one number."""
    if isinstance(learning_rate, float) or len(set(learning_rate)) == 1:
        yield learning_rate if isinstance(learning_rate, float) else learning_rate[0], lambda tensor: tensor
    else:
        for member, rate in enumerate(learning_rate):
            yield rate, operator.itemgetter(member)
