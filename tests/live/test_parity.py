"""Every live figure: the script computes what the package computes, term by term, over
its controls and their corners.
"""

from __future__ import annotations

import itertools
import math
import random
import re
import subprocess
import sys

import pytest

from elbo import live
from elbo.live import engine
from elbo.live.spec import fill

TOLERANCE = 1e-9


def states(id: str, drawn: int = 40) -> list[dict[str, float]]:
    """All corners of a figure's controls, and states drawn between them."""
    controls, draw = live.figure(id).controls, random.Random(id)
    found = [
        dict(zip([c.name for c in controls], corner)) for corner in itertools.product(*(c.corners() for c in controls))
    ]
    draw.shuffle(found)
    found = [live.figure(id).default, *found[:60]]
    for _ in range(drawn):
        state = {}
        for c in controls:
            allowed = c.values or tuple(range(len(c.options)))
            state[c.name] = c.clean(draw.choice(allowed) if allowed else draw.uniform(c.low, c.high))
        found.append(state)
    return found


@pytest.mark.parametrize("id", live.IDS)
def test_script_and_package_agree_term_by_term(id):
    figure = live.figure(id)
    for state in states(id):
        ours, theirs = figure.terms(**state), engine.terms(figure, state)
        assert set(ours) <= set(theirs), state
        for name, value in ours.items():
            if isinstance(value, str) or not math.isfinite(value):
                assert theirs[name] == value, (state, name)
            else:
                assert theirs[name] == pytest.approx(value, rel=TOLERANCE, abs=TOLERANCE), (state, name)


@pytest.mark.parametrize("id", live.IDS)
def test_caption_script_and_python_line_print_the_same_numbers(id):
    figure = live.figure(id)
    terms = engine.terms(figure, figure.default)
    values = {**figure.default, **terms}
    template = figure.texts[int(figure.default[figure.text_by])] if figure.text_by else figure.texts[0]
    assert engine.sentence(template, values) == live.say(id)
    assert engine.sentence(figure.caption, values) == figure.filled(figure.caption)
    assert live.say(id, **figure.default) == live.say(id)
    assert "{" not in live.say(id) + figure.filled(re.sub(r"\$[^$]*\$", "", figure.caption)) + figure.filled(figure.alt)
    assert any(character.isdigit() for character in live.say(id))


@pytest.mark.parametrize("id", live.IDS)
def test_a_record_keeps_the_rules(id):
    figure = live.figure(id)
    assert figure.question.endswith("?")
    tabs = {c.tab for c in figure.controls if c.tab is not None} or {None}
    for tab in tabs:
        assert len([c for c in figure.controls if c.name != "tab" and c.tab in (None, tab)]) <= 3
    for control in figure.controls:
        assert control.clean(control.default) == control.default
        for bad in ("NaN", "1e309", "<img>", None, float("inf")):
            assert control.clean(bad) == control.default
    assert figure.clean({"nobody": 3}) == figure.default
    with pytest.raises(TypeError, match="no control 'nobody'"):
        figure.say(nobody=3)


@pytest.mark.parametrize(
    "template, values",
    [
        ("{a:.3f}", {"a": -1e-9}),
        ("{a:.3f} and {b}", {"a": -1.23456, "b": 4}),
        ("{a:.2f}{b:.1f}", {"a": 1234.5678, "b": -0.04}),
        ("{a:.2f} {b:.0f} {c:.1f}", {"a": 0.125, "b": 2.5, "c": -0.25}),
        ("{word}: {a:.0f}", {"word": "<b>", "a": 2.7}),
    ],
)
def test_templates_are_filled_alike(template, values):
    assert engine.sentence(template, values) == fill(template, values)
    assert "-" not in fill(template, values)


def test_a_process_that_used_the_engine_ends():
    """A process that leaves an engine open may hang at exit; 25 plain ones start it and end."""
    program = (
        f"import importlib.util as u; s = u.spec_from_file_location('engine', {engine.__file__!r}); m = "
        "u.module_from_spec(s);s.loader.exec_module(m); print(m.sentence('{a:.2f}', {'a': 1}))"
    )
    for _ in range(25):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout) == (0, "1.00\n"), done.stderr


def test_the_code_is_small():
    import gzip

    code = b"".join(path.read_bytes() for path in sorted(engine.STATIC.glob("*.js")) if "payload" not in path.name)
    assert len(gzip.compress(code, 9)) <= 25 * 1024
    assert all(path.stat().st_size <= 300 * 1024 for path in engine.STATIC.glob("*payload*"))
