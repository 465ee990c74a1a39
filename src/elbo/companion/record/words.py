"""Durations, moments, commits, devices and digests in words, one phrasing for the terminal and for every page."""

from __future__ import annotations

from typing import Any

__all__ = ["commit", "device", "digest", "duration", "moment"]


def duration(seconds: float | None) -> str:
    """``7.5 s``, ``75 s``, ``12 min``, ``3.5 h``."""
    if seconds is None:
        return "not recorded"
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def moment(iso: str) -> str:
    """``2027-01-02T03:04:05+00:00`` to the minute: ``2027-01-02 03:04 UTC``."""
    return iso[:16].replace("T", " ") + (" UTC" if iso.endswith("+00:00") else "")


def commit(about: dict[str, Any]) -> str:
    """The commit of a record, shortened, and whether there were changes that were not committed."""
    return f"{(about.get('commit') or 'unknown')[:12]}{', with changes' if about.get('dirty') else ''}"


def device(about: dict[str, Any], full: bool = False) -> str:
    """The GPU of a record or else its CPU, and its threads; in ``full`` both, and the platform."""
    threads = about.get("threads")
    counted = f"{threads} thread{'' if threads == 1 else 's'}" if threads else ""
    names = [about.get("gpu"), about.get("cpu")]
    shown = names if full else [next(filter(None, names), "unknown")]
    return ", ".join(filter(None, [*shown, counted, about.get("platform") if full else None]))


def digest(sha256: str) -> str:
    """The first twelve characters of a digest."""
    return f"{sha256[:12]}…"
