"""Bytes changed at random, and texts that no honest person writes."""

from __future__ import annotations

import json
import random
from typing import Any

__all__ = ["damaged", "hostile_json", "hostile_text", "hostile_yaml"]


def damaged(content: bytes, rng: random.Random, other: bytes = b"another file") -> bytes:
    """Bits turned, bytes zeroed, a piece cut out or put in, the end lost, or another file altogether."""
    how = rng.choice(("bit", "bits", "zeros", "cut", "hole", "more", "swap", "empty", "noise"))
    size = len(content)
    at, span = rng.randrange(size), rng.randrange(1, 200)
    if how in ("bit", "bits"):
        found = bytearray(content)
        for _ in range(1 if how == "bit" else 20):
            found[rng.randrange(size)] ^= 1 << rng.randrange(8)
        return bytes(found)
    return {
        "zeros": content[:at] + b"\0" * span + content[at + span :],
        "cut": content[:at],
        "hole": content[:at] + content[at + span :],
        "more": content[:at] + rng.randbytes(span) + content[at:],
        "swap": other,
        "empty": b"",
        "noise": rng.randbytes(span * 20),
    }[how]


def hostile_text(rng: random.Random) -> str:
    """A word that breaks quoting, length, encoding, paths, markup, numbers or patience."""
    words = [
        *(
            "",
            " ",
            "-",
            "--",
            "--help=1",
            "\x00",
            "\x1b[31m",
            "\n",
            "\ud800",
            "a\udfffb",
            "💥" * 9,
            "é",
            "\u202e",
            "NaN",
            "inf",
        ),
        *(
            "1e999",
            "0x",
            "1_0",
            "True",
            "None",
            "[" * 4000,
            "{" * 500,
            "-" * 9000,
            "9" * 5000,
            "x" * 200_000,
            "../" * 80,
        ),
        *(
            "/dev/zero/x",
            "/" + "y" * 5000,
            "~nobody/x",
            "con:",
            "a\\b",
            "<script>alert(1)</script>",
            "$\\write18{ls}$",
            "%s%n",
        ),
        *(
            "{{0}}",
            "`x`",
            "'; drop",
            '"',
            "&amp;",
            "<!ENTITY a 'b'>",
            "lambda: 0",
            "__import__('os')",
            "1j",
            "{[]: 1}",
            "*" * 99,
        ),
    ]
    return rng.choice(words) + (rng.choice(words) if rng.random() < 0.3 else "")


def hostile_yaml(rng: random.Random, keys: list[str], depth: int = 0) -> str:
    """A profile made of what YAML allows and a person does not write."""
    if depth == 0 and rng.random() < 0.2:
        return hostile_text(rng)
    value = rng.choice(
        [
            *(
                "&a [*a]",
                "*a",
                "!!python/object/apply:os.system [ls]",
                "!!int abc",
                "!!float x",
                "!!bool maybe",
                "!mine {}",
            ),
            *(
                "2013-99-99",
                "9" * 5000,
                "[" * 3000,
                "{a: " * 2000,
                "? [1]\n: 2",
                "<<: *b",
                "|",
                ">",
                "'",
                "@",
                "%TAG",
                "0o777",
            ),
            *(
                "1e5",
                ".nan",
                ".inf",
                "-.inf",
                "null",
                "~",
                "yes",
                "[1, 2",
                "{a: 1, a: 2}",
                "\t1",
                "\x01",
                '"\\ud800"',
                "1:20:30",
            ),
        ]
    )
    return f"{rng.choice(keys)}:\n  {rng.choice(['beta', 'wait', 'x' * 3000, '? a', '', '1', 'beta: beta'])}: {value}\n"


def hostile_json(record: dict[str, Any], rng: random.Random) -> str:
    """A record with a field of another kind, or text that is hardly JSON."""
    found = json.loads(json.dumps(record))
    strange: list[Any] = [
        None,
        True,
        -1,
        1e308,
        10**400,
        [],
        {},
        "",
        "../../etc/passwd",
        "x" * 9000,
        [[[]]],
        {"a": {"b": 1}},
    ]
    where = found
    while isinstance(where, dict) and where:
        name = rng.choice(sorted(where))
        if not isinstance(where[name], dict) or rng.random() < 0.5:
            where[name] = rng.choice(strange)
            break
        where = where[name]
    text = json.dumps(found)
    how = rng.random()
    if how < 0.1:
        return text[: rng.randrange(len(text))]
    if how < 0.2:
        return '{"a":' * rng.choice((10, 5000, 100_000))
    if how < 0.3:
        return text.replace("{", rng.choice(('{"id": NaN,', '{"id": -Infinity,', '{"id": "a", "id": "b",')), 1)
    return text
