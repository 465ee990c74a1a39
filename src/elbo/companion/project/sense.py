"""Values of the right type and no sense, told by the default beside them, before anything runs."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["LARGEST", "LARGEST_SEED", "senseless"]

LARGEST = 10**12
"""No count, size or number of steps of this book is larger."""
LARGEST_SEED = 2**63 - 1


def senseless(name: str, default: Any, value: Any, help: str = "") -> str | None:
    """Why ``value`` makes no sense where ``default`` does, to follow "must"; ``None`` where it may.

    An empty list has a meaning only where it is the default or the help says what "empty" means. Numbers are finite
    where the default is, negative only where it is, and whole ones within :data:`LARGEST` (seeds: 64 bits). Text has no
    half characters.
    """
    if isinstance(value, list) and not value and default and "empty" not in help:
        return "hold something"
    plain = _flat(value)
    defaults = [one for one in _flat(default) if isinstance(one, (int, float))]
    for one in plain:
        if isinstance(one, str) and any("\ud800" <= c <= "\udfff" for c in one):
            return "be text without half characters (lone surrogates)"
        if isinstance(one, bool) or not isinstance(one, (int, float)):
            continue
        if isinstance(one, float) and not math.isfinite(one) and all(math.isfinite(known) for known in defaults):
            return "be finite"
        if isinstance(one, int) and abs(one) > (LARGEST_SEED if "seed" in name else LARGEST):
            return f"lie within {LARGEST_SEED if 'seed' in name else LARGEST:,}"
        if one < 0 and defaults and min(defaults) >= 0:
            return "not be negative"
    return None


def _flat(value: Any) -> list[Any]:
    if isinstance(value, dict):
        value = [*value, *value.values()]
    return [one for item in value for one in _flat(item)] if isinstance(value, (list, tuple)) else [value]
