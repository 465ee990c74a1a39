r"""The variational autoencoder of Kingma & Welling (2013): its decoder is the model, its encoder the inference.

.. math:: z \sim N(0, I), \qquad x \sim p_\theta(x|z), \qquad
          q_\phi(z|x) = N(\mu_\phi(x), \mathrm{diag}\,\sigma^2_\phi(x))

The model holds shapes and choices only. Its parameters are a plain dictionary of tensors that every method takes as its
first argument, so that a stack of models is a dictionary of tensors with one more leading axis and ``torch.func.vmap``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import softplus

from elbo.checks import natural
from elbo.densities import bernoulli_log_prob, gaussian_log_prob, standard_gaussian_log_prob

__all__ = ["VAE", "Params", "bounded_log_var"]

Params = dict[str, Tensor]

ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu, "softplus": softplus}
LATENT_FLOOR = -30.0
GREY_LEVEL_FLOOR = 2 * math.log(1 / 256)


def bounded_log_var(raw: Tensor, floor: float) -> Tensor:
    r"""Log-variances, linear above their floor and never below: :math:`f + \mathrm{softplus}(r - f)`.

    The one place where log-variances are bounded. The bend is smooth, so a unit that has reached the floor can leave it
    again. More than 20 above the floor the function is the identity to the last bit.
    """
    return floor + softplus(raw - floor)


@dataclass(frozen=True)
class VAE:
    r"""Shapes and choices of a variational autoencoder with multilayer perceptrons on both sides.

    The defaults are those of Kingma & Welling (2013), section 5 and appendix C: one hidden layer of tanh units in the
    encoder and in the decoder.

    Attributes:
        data_dim, hidden, latent_dim: widths of the data, of every hidden layer, of the code.
        likelihood: ``"bernoulli"``, equation 11: the decoder gives the logits of independent pixels. ``"gaussian"``,
            equation 12: it gives means, through a sigmoid, and log-variances, linear above ``log_var_floor`` (the form
            used for the Frey faces).
        activation: of the hidden units, ``"tanh"``, ``"relu"`` or ``"softplus"``.
        decoder_activation: the same for the decoder alone; ``None`` takes ``activation``.
        encoder_layers, decoder_layers: how many hidden layers.
        log_var_floor: smallest log-variance of the Gaussian likelihood. Without one the density of a pixel that never
            changes has no bound. The default is a standard deviation of one grey level out of 256: pictures on [0, 1]
            say nothing finer.
    """

    data_dim: int
    hidden: int = 500
    latent_dim: int = 20
    likelihood: Literal["bernoulli", "gaussian"] = "bernoulli"
    activation: Literal["tanh", "relu", "softplus"] = "tanh"
    decoder_activation: Literal["tanh", "relu", "softplus"] | None = None
    encoder_layers: int = 1
    decoder_layers: int = 1
    log_var_floor: float = GREY_LEVEL_FLOOR

    def __post_init__(self) -> None:
        sizes = ("data_dim", "hidden", "latent_dim", "encoder_layers", "decoder_layers")
        natural(**{name: getattr(self, name) for name in sizes})
        if not math.isfinite(self.log_var_floor):
            raise ValueError(f"log_var_floor must be finite, got {self.log_var_floor}")
        if self.likelihood not in ("bernoulli", "gaussian"):
            raise ValueError(f"likelihood must be 'bernoulli' or 'gaussian', got {self.likelihood!r}")
        for activation in (self.activation, self.decoder_activation or self.activation):
            if activation not in ACTIVATIONS:
                raise ValueError(f"activation must be 'tanh', 'relu' or 'softplus', got {activation!r}")

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every parameter; a weight is ``(inputs, outputs)``."""
        outputs = self.data_dim * (2 if self.likelihood == "gaussian" else 1)
        encoder = _mlp_shapes("encoder", [self.data_dim] + [self.hidden] * self.encoder_layers, 2 * self.latent_dim)
        return encoder | _mlp_shapes("decoder", [self.latent_dim] + [self.hidden] * self.decoder_layers, outputs)

    def init(
        self, generator: torch.Generator, scale: float | Literal["glorot"] = 0.1, dtype: torch.dtype = torch.float32
    ) -> Params:
        r"""Parameters at random, on the generator's device.

        Args:
            scale: standard deviation of every weight and bias. Kingma & Welling (2013) draw them from "N(0, 0.01)".
                Read as a variance, as their N(0, I) names a covariance, that is 0.1, the default. The first point of
                their printed curves, minus 784 log 2, says that it was 0.01 (``tests/data/test_paper_curves.py``); with
                0.1 and 200 latents the sleep phase of wake-sleep explodes. ``"glorot"``
                draws weights uniformly with variance 2 / (inputs + outputs) and sets biases to zero, for deeper
                networks (Glorot & Bengio, 2010).
        """
        params = {}
        for name, shape in self.shapes.items():
            param = torch.empty(shape, dtype=dtype, device=generator.device)
            if scale != "glorot":
                param.normal_(0, scale, generator=generator)
            elif len(shape) == 1:
                param.zero_()
            else:
                bound = math.sqrt(6 / sum(shape))
                param.uniform_(-bound, bound, generator=generator)
            params[name] = param
        return params

    def encode(self, params: Params, x: Tensor) -> tuple[Tensor, Tensor]:
        r"""Mean and log-variance of :math:`q_\phi(z|x)`, equation 9, each ``(..., latent_dim)``."""
        mean, raw = _mlp(params, "encoder", x, self.encoder_layers, self.activation).chunk(2, -1)
        return mean, bounded_log_var(raw, LATENT_FLOOR)

    def decode(self, params: Params, z: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        r"""What :math:`p_\theta(x|z)` is made of, each ``(..., data_dim)``: logits, or mean and log-variance."""
        out = self._decoded(params, z)
        if self.likelihood == "bernoulli":
            return out
        raw_mean, raw_log_var = out.chunk(2, -1)
        return torch.sigmoid(raw_mean), bounded_log_var(raw_log_var, self.log_var_floor)

    def _decoded(self, params: Params, z: Tensor) -> Tensor:
        return _mlp(params, "decoder", z, self.decoder_layers, self.decoder_activation or self.activation)

    def decode_mean(self, params: Params, z: Tensor) -> Tensor:
        r"""The expected picture :math:`E[x|z]`, in [0, 1]; ``(..., latent_dim) -> (..., data_dim)``."""
        out = self._decoded(params, z)
        return torch.sigmoid(out if self.likelihood == "bernoulli" else out.chunk(2, -1)[0])

    def log_likelihood(self, params: Params, x: Tensor, z: Tensor) -> Tensor:
        r""":math:`\log p_\theta(x|z)`, equations 11 and 12, for ``(..., data_dim)`` and ``(..., latent_dim)``;
        ``(...)`` nats."""
        if self.likelihood == "bernoulli":
            return bernoulli_log_prob(x, self._decoded(params, z))
        return gaussian_log_prob(x, *self.decode(params, z))

    def log_prior(self, z: Tensor) -> Tensor:
        r""":math:`\log p(z) = \log N(z; 0, I)`; ``(..., latent_dim) -> (...)`` nats."""
        return standard_gaussian_log_prob(z)

    def log_joint(self, params: Params, x: Tensor, z: Tensor) -> Tensor:
        r""":math:`\log p_\theta(x, z)`; ``(..., data_dim)`` and ``(..., latent_dim)`` to ``(...)`` nats."""
        return self.log_likelihood(params, x, z) + self.log_prior(z)

    def sample(self, params: Params, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        r"""Codes from the prior, data from :math:`p_\theta(x|z)`: ``(count, latent_dim)``, ``(count, data_dim)``."""
        weight = params["decoder.head.weight"]
        z = torch.randn(count, self.latent_dim, generator=generator, dtype=weight.dtype, device=weight.device)
        if self.likelihood == "bernoulli":
            return z, torch.bernoulli(self.decode_mean(params, z), generator=generator)
        mean, log_var = self.decode(params, z)
        noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device)
        return z, mean + torch.exp(0.5 * log_var) * noise

    def resize(self, params: Params, latent_dim: int) -> Params:
        r"""The parameters of this model with another number of latents: cut to the first ones, or padded with zeros.

        A latent whose weights are all zero keeps them: its posterior is its prior, the decoder does not see it, and
        with zero noise every gradient that reaches its weights is exactly zero. So models with several latent sizes
        train in one stack.
        """
        resized = {}
        for name, param in params.items():
            if name == "decoder.0.weight":
                resized[name] = _fit_axis(param, latent_dim)
            elif name.startswith("encoder.head"):
                halves = param.unflatten(-1, (2, self.latent_dim)).movedim(-1, 0)  # (latent, ..., 2)
                resized[name] = _fit_axis(halves, latent_dim).movedim(0, -1).flatten(-2)
            else:
                resized[name] = param
        return resized


def _mlp_shapes(prefix: str, widths: list[int], outputs: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for layer, (inputs, units) in enumerate(zip(widths, widths[1:])):
        shapes[f"{prefix}.{layer}.weight"], shapes[f"{prefix}.{layer}.bias"] = (inputs, units), (units,)
    shapes[f"{prefix}.head.weight"], shapes[f"{prefix}.head.bias"] = (widths[-1], outputs), (outputs,)
    return shapes


def _mlp(params: Params, prefix: str, x: Tensor, layers: int, activation: str) -> Tensor:
    for layer in range(layers):
        x = ACTIVATIONS[activation](x @ params[f"{prefix}.{layer}.weight"] + params[f"{prefix}.{layer}.bias"])
    return x @ params[f"{prefix}.head.weight"] + params[f"{prefix}.head.bias"]


def _fit_axis(param: Tensor, size: int) -> Tensor:
    if size <= len(param):
        return param[:size].contiguous()
    return torch.cat([param, param.new_zeros(size - len(param), *param.shape[1:])])
