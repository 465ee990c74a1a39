"""The quiet lines under a figure, as HTML: one line of files, and folded below it how to cite
the figure and what run made it.

Everything that comes from a record, a caption or a citation file is escaped. Without JavaScript all of it can be read
and downloaded; ``book/_static/figures.js`` adds the buttons that copy.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

from elbo.companion.record import citation, swhid, words

__all__ = ["Place", "legend"]

_FILES = {"svg": "SVG", "pdf": "PDF", "png": "PNG", "csv": "CSV"}
_CITE = {"text": "Text", "bibtex": "BibTeX", "ris": "RIS"}


@dataclass(frozen=True)
class Place:
    """Where a figure's files lie, seen from its page.

    Attributes:
        root: relative path to the root of the site (``"../"``).
        notebook: address of the chapter's executed notebook from that root, empty where there is none.
        source: the same for the text of the chapter.
        cell: lines of the cell in it that shows the figure, ``book/<key>.md#L10-L20``; empty where they are not known.
    """

    root: str
    notebook: str = ""
    source: str = ""
    cell: str = ""


def legend(record: dict[str, Any], run: dict[str, Any], place: Place, book: citation.Book | None) -> str:
    """The lines under a figure.

    Args:
        record: of the figure.
        run: from :func:`elbo.companion.record.handover.run_facts`.
        place: where its files are.
        book: from ``CITATION.cff``; without one the page says nothing of citing.
    """
    id = record["id"]
    links = [_download(f"{place.root}figures/{id}.{format}", name, id) for format, name in _FILES.items()]
    if place.notebook:
        links.append(_download(place.root + place.notebook, "notebook", id))
    permalink = f'<a class="elbo-figure-id" href="#{id}" aria-label="{id}, permanent link"><code>{id}</code></a>'
    parts = [f'<p class="elbo-figure-files">{permalink} {" ".join(links)}</p>']
    if book:
        parts.append(_details("cite", id, _citations(record, run, place, book)))
    commands = _block("Make it again", record["command"], "command")
    commands += _block("Make it again and compare", f"elbo reproduce {id}", "command")
    facts = commands + _table(_facts(record, run, place, book))
    title = "how this figure was made"
    parts.append(
        f'<details class="elbo-run"><summary class="elbo-info" title="{title}">'
        f'<span class="elbo-aside">run {id}</span></summary>'
        f"{facts}</details>"
    )
    return f'<div class="elbo-figure-legend">{"".join(parts)}</div>'


def _citations(record: dict[str, Any], run: dict[str, Any], place: Place, book: citation.Book) -> str:
    texts = {format: citation.cite(record, book, format, run.get("finished", "")) for format in _CITE}
    files = {"bibtex": "bib", "ris": "ris"}
    return "".join(
        _block(
            _CITE[format], text, "citation", files.get(format) and f"{place.root}figures/{record['id']}.{files[format]}"
        )
        for format, text in texts.items()
    )


def _facts(
    record: dict[str, Any], run: dict[str, Any], place: Place, book: citation.Book | None
) -> Iterator[tuple[str, str]]:
    """Names and values, the values as HTML."""
    about = record["environment"]
    settings = record.get("settings", {})
    seeds = {name: value for name, value in {**record["parameters"], **settings}.items() if "seed" in name}
    yield (
        "chapter",
        escape(record["chapter"]) + (f" ({_link(place.root + place.source, 'text')})" if place.source else ""),
    )
    yield "profile", escape(record["profile"] or "none (run by hand)")
    yield "parameters", escape(_assignments(record["parameters"]))
    yield "settled on", escape(_assignments(settings))
    yield "seeds", escape(_assignments(seeds))
    yield "device", escape(words.device(about, full=True))
    if run.get("finished"):
        yield "date", escape(words.moment(run["finished"]))
    if run.get("seconds"):
        yield "duration", f"{words.duration(run['seconds'])} for the whole chapter"
    yield "commit", _commit(about, book)
    yield (
        "source",
        "; ".join(_source(lines, about, book) for lines in filter(None, [place.cell, *record.get("source", [])])),
    )
    yield "identifiers", _identifiers(record, book)
    packages = {"Python": about.get("python"), **about.get("packages", {})}
    yield "versions", escape(", ".join(f"{name} {version}" for name, version in packages.items() if version))
    yield "lock file", _digest(about.get("lock_sha256"))
    yield (
        "data",
        ", ".join(f"{escape(name)} {_digest(d)}" for name, d in about.get("data", {}).items()) or "none loaded",
    )
    yield "reference runs", ", ".join(f"{escape(name)} {_digest(d)}" for name, d in about.get("reference", {}).items())
    yield "table", _digest(record.get("csv_sha256"))
    yield "record", _link(f"{place.root}figures/{record['id']}.json", f"{record['id']}.json")


def _commit(about: dict[str, Any], book: citation.Book | None) -> str:
    commit = about.get("commit")
    if not commit:
        return "unknown"
    shown = f"<code>{escape(commit)}</code>"
    if book and book.repository:
        shown = f'<a href="{escape(book.repository)}/commit/{escape(commit)}">{shown}</a>'
    return shown + (", with changes that were not committed" if about.get("dirty") else "")


def _source(lines: str, about: dict[str, Any], book: citation.Book | None) -> str:
    """``src/elbo/....py#L10-L20`` in words; a link where the repository is known and held exactly this text."""
    file, _, numbers = lines.partition("#L")
    first, _, last = numbers.partition("-L")
    shown = f"{escape(file)}, lines {escape(first)} to {escape(last)}"
    if book and book.repository and about.get("commit") and about.get("dirty") is False:
        return f'<a href="{escape(book.repository)}/blob/{escape(about["commit"])}/{escape(lines)}">{shown}</a>'
    return shown


def _identifiers(record: dict[str, Any], book: citation.Book | None) -> str:
    """The SWHIDs of the record, each with what it names; of a checkout with changes, that the whole has none."""
    said = swhid.of(record, book.repository if book else "")
    whole = [("revision", said["revision"]), ("its directory", said["directory"])]
    shown = [f"{name} <code>{escape(id)}</code>" for name, id in whole if id]
    if record["environment"].get("dirty"):
        shown.append("none of the whole, because of the changes")
    shown += [f"lines <code>{escape(id)}</code>" for id in said["content"]]
    return f"SWHID: {'<br>'.join(shown)}" if shown else ""


def _digest(sha256: str | None) -> str:
    return f'<code title="sha256 {escape(sha256)}">{escape(words.digest(sha256))}</code>' if sha256 else ""


def _assignments(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items())


def _download(href: str, name: str, id: str) -> str:
    return f'<a href="{escape(href)}" download aria-label="{name} of {id}">{name}</a>'


def _link(href: str, name: str) -> str:
    return f'<a href="{escape(href)}" download>{escape(name)}</a>'


def _details(summary: str, id: str, inner: str) -> str:
    return (
        f'<details class="elbo-{summary}"><summary>{summary}<span class="elbo-aside"> {id}</span></summary>'
        f"{inner}</details>"
    )


def _block(name: str, text: str, what: str, file: str | None = None) -> str:
    """A text to copy, under its name; ``file`` is the same text as a download."""
    saved = f' <a href="{escape(file)}" download>.{file.rsplit(".", 1)[1]}</a>' if file else ""
    return (
        f'<div class="elbo-copy" data-copy="{escape(name)}"><p><span>{escape(name)}</span>{saved}</p>'
        f'<pre class="elbo-{what}">{escape(text)}</pre></div>'
    )


def _table(facts: Iterator[tuple[str, str]]) -> str:
    return "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{value}</dd>" for name, value in facts if value) + "</dl>"
