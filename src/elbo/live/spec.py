"""What a live figure is: one frozen record, from which the page, the script and the Python twin
all take their ranges and words.

A figure is a question, at most three controls, a sentence with numbers, and two twins that compute them: ``terms`` here
and ``terms`` in ``static/live/<id>.js``. ``tests/live`` holds them together, number by number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from matplotlib.figure import Figure as Drawing

__all__ = ["Control", "Figure", "Predict", "State", "fill"]

State = Mapping[str, float]
_FIELD = re.compile(r"\{(\w+)(?::\.(\d)f)?\}")


@dataclass(frozen=True)
class Control:
    """What the reader sets: a slider, a choice or a switch.

    Attributes:
        name: its word in addresses and in the Python line.
        low, high, step: the values are ``low + i * step``.
        values: the slider runs over these instead (a scale of doublings, say).
        names: words for those values, where the numbers would not speak for themselves.
        options: words for the values ``0, 1, ...``; makes it a choice of buttons.
        digits: decimals that are shown.
        tab: the value of the control ``tab`` at which it is shown; ``None`` for always.
    """

    name: str
    label: str
    default: float
    low: float = 0.0
    high: float = 1.0
    step: float = 1.0
    unit: str = ""
    values: tuple[float, ...] = ()
    names: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    digits: int = 0
    tab: int | None = None

    def clean(self, value: Any) -> float:
        """The nearest allowed value; the default for what is no finite number."""
        try:
            number = float(value)
        except (TypeError, ValueError):
            return self.default
        if not math.isfinite(number):
            return self.default
        if allowed := self.values or tuple(range(len(self.options))):
            return float(min(allowed, key=lambda one: abs(one - number)))
        steps = round((min(max(number, self.low), self.high) - self.low) / self.step)
        return round(self.low + steps * self.step, 6)

    def corners(self) -> tuple[float, ...]:
        """Lowest, default and highest value."""
        allowed = self.values or tuple(float(i) for i in range(len(self.options)))
        low, high = (allowed[0], allowed[-1]) if allowed else (self.low, self.high)
        return tuple(dict.fromkeys((float(low), float(self.default), float(high))))


@dataclass(frozen=True)
class Predict:
    """Guess first: the answer is hidden until the reader has set ``control`` (or the
    figure's own controls) and reveals it.

    Attributes:
        prompt: what to do.
        revealed: the sentence after it, a template over the terms and ``guess``.
        control: a slider for the guess, where the guess is a number.
        start: the state in which the reader guesses.
    """

    prompt: str
    revealed: str
    control: Control | None = None
    start: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Figure:
    """One live figure.

    Attributes:
        id: permanent name: address in the page, key of the state, name of the script.
        question: stands over the figure.
        caption, alt: templates over the terms at the default state; ``$...$`` is mathematics.
        controls: three sliders at most are seen at a time.
        texts: sentence under the drawing; with several the control ``text_by`` chooses.
        terms: ``terms(**state)``: numbers and words by name; the Python twin.
        draw: ``draw(state, terms)``: the static figure.
        constants: numbers that the script needs, sent with the page.
        payload: name of a file in ``static/live`` that is fetched when the figure comes near.
        height: of the drawing in CSS pixels, on a wide and on a narrow page.
    """

    id: str
    question: str
    caption: str
    alt: str
    controls: tuple[Control, ...]
    texts: tuple[str, ...]
    terms: Callable[..., dict[str, Any]]
    draw: Callable[[State, Mapping[str, Any]], Drawing]
    text_by: str = ""
    constants: Mapping[str, Any] = field(default_factory=dict)
    payload: str = ""
    predict: Predict | None = None
    height: tuple[int, int] = (340, 420)

    @property
    def default(self) -> dict[str, float]:
        """The state that the page opens with and that the static figure shows."""
        return {control.name: float(control.default) for control in self.controls}

    def clean(self, state: Mapping[str, Any]) -> dict[str, float]:
        """A whole, allowed state: unknown names dropped, missing ones at their default, values in range."""
        return {control.name: control.clean(state.get(control.name, control.default)) for control in self.controls}

    def say(self, **state: Any) -> str:
        """The sentence with its numbers, exactly as the page shows it at this state.

        Raises:
            TypeError: a name that is no control of this figure.
        """
        if unknown := set(state) - set(self.default):
            raise TypeError(f"{self.id} has no control {sorted(unknown)[0]!r}; there are {', '.join(self.default)}")
        clean = self.clean(state)
        template = self.texts[int(clean[self.text_by])] if self.text_by else self.texts[0]
        return fill(template, {**clean, **self.terms(**clean)})

    def filled(self, template: str) -> str:
        """A template over the terms at the default state."""
        return fill(template, {**self.default, **self.terms(**self.default)})

    def record(self) -> dict[str, Any]:
        """What the script needs to know, as JSON."""
        controls = [_said(control) for control in self.controls]
        about: dict[str, Any] = {
            "id": self.id,
            "question": self.question,
            "controls": controls,
            "texts": list(self.texts),
            "text_by": self.text_by,
            "constants": dict(self.constants),
            "payload": self.payload,
            "height": list(self.height),
        }
        if self.predict:
            guess = self.predict.control
            about["predict"] = {
                "prompt": self.predict.prompt,
                "revealed": self.predict.revealed,
                "control": _said(guess) if guess else None,
                "start": dict(self.predict.start),
            }
        return about


def _said(control: Control) -> dict[str, Any]:
    return {name: value for name, value in vars(control).items() if value not in ((), None, "")}


def fill(template: str, values: Mapping[str, Any]) -> str:
    """``{name}`` and ``{name:.3f}`` replaced; a minus is a minus sign, and nothing is ``-0.000``."""

    def one(match: re.Match[str]) -> str:
        if match[1] not in values:
            return match[0]  # braces of a formula
        value, digits = values[match[1]], match[2]
        if isinstance(value, str):
            return value
        if not math.isfinite(value):
            return "infinite"
        # ties away from zero, as toFixed has them in the script
        text = str(Decimal(float(value)).quantize(Decimal(1).scaleb(-int(digits or 0)), ROUND_HALF_UP))
        return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")

    return _FIELD.sub(one, template)
