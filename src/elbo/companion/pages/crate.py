"""The built site as an RO-Crate: ``ro-crate-metadata.json`` says what each page and figure is, and which run made it.

The crate follows RO-Crate 1.3 (as the library ``rocrate`` writes it) and the profile Process Run Crate 0.5: a
``CreateAction`` for each chapter, whose instrument is the chapter's text, whose objects are its parameters and
data, and whose results are the executed notebook and the files of the figures. Equal inputs give equal bytes:
no time of the build is in it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from rocrate.model.contextentity import ContextEntity
from rocrate.model.file import File
from rocrate.rocrate import ROCrate

from elbo.companion.record import swhid
from elbo.companion.record.book import LICENSE, Author, Book, doi_address
from elbo.companion.record.citation import question
from elbo.companion.record.works import Work

__all__ = ["NAME", "PROCESS", "write"]

NAME = "ro-crate-metadata.json"
PROCESS = "https://w3id.org/ro/wfrun/process/0.5"
_MIT = "https://spdx.org/licenses/MIT"
_HOMES = {"torch": "https://pytorch.org/", "numpy": "https://numpy.org/", "scipy": "https://scipy.org/",
          "scikit-learn": "https://scikit-learn.org/", "pandas": "https://pandas.pydata.org/",
          "matplotlib": "https://matplotlib.org/", "seaborn": "https://seaborn.pydata.org/"}  # fmt: skip
_KINDS = {
    "svg": "image/svg+xml",
    "pdf": "application/pdf",
    "png": "image/png",
    "csv": "text/csv",
    "json": "application/json",
    "ipynb": "application/x-ipynb+json",
    "md": "text/markdown",
    "html": "text/html",
    "bib": "application/x-bibtex",
    "ris": "application/x-research-info-systems",
}


def write(
    site: Path,
    book: Book,
    *,
    pages: dict[str, tuple[str, str]],
    figures: dict[str, dict[str, Any]],
    runs: dict[str, dict[str, Any]],
    notebooks: dict[str, list[str]],
    works: dict[str, Work] | None = None,
) -> Path:
    """Write :data:`NAME` into a built site.

    Args:
        site: the site's directory, complete.
        book: what ``CITATION.cff`` says.
        pages: docname (``book/blei-2017``) to the page's file in the site, and its title.
        figures: id to ``docname, caption, alt, record``.
        runs: chapter to what is known of its run (:func:`elbo.companion.record.handover.run_facts`).
        notebooks: chapter to the addresses of its executed notebook and its text in the site.
        works: what the book cites, by key; the key of a chapter is its paper's.
    """
    crate = ROCrate()
    _describe(
        crate, book, max([run["finished"] for run in runs.values() if run.get("finished")], default=book.released)
    )
    authors = [_author(crate, author) for author in book.authors]
    _set(crate.root_dataset, {"author": authors, "publisher": authors})
    software = _software(crate, book)
    cited = {key: _work(crate, work) for key, work in (works or {}).items() if work.address}
    if cited:
        _set(crate.root_dataset, {"citation": list(cited.values())})
    for file, title in pages.values():
        _file(crate, site, file, name=title, description="A page of the book.")
    for path in sorted((site / "figures").glob("figures.*")):
        _file(
            crate,
            site,
            f"figures/{path.name}",
            name=f"Citations ({path.suffix[1:]})",
            description="How to cite each figure.",
        )
    for path in sorted((site / "reference").rglob("*.csv")) + sorted((site / "reference").rglob("*.json")):
        name = path.relative_to(site).as_posix()
        _file(
            crate,
            site,
            name,
            name=f"Reference run: {path.name}",
            description="A longer run than the page's own, for comparison.",
        )
    actions = []
    for chapter, files in notebooks.items():
        own = {id: about for id, about in figures.items() if about["record"]["chapter"] == chapter}
        results = [file for id, about in own.items() for file in _figure(crate, site, id, about, pages)]
        actions.append(_run(crate, site, chapter, own, runs.get(chapter, {}), files, results, software))
        text = crate.get(next((name for name in files if name.endswith(".md")), ""))
        if text and chapter in cited:
            text["citation"] = cited[chapter]
    if actions:
        _set(crate.root_dataset, {"mentions": actions})
    path = site / NAME
    path.write_text(
        json.dumps(crate.metadata.generate(), indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    return path


def _describe(crate: ROCrate, book: Book, published: str) -> None:
    root = crate.root_dataset
    root["name"], root["version"], root["datePublished"] = book.title, book.version, published
    root["description"] = (
        "The built pages of the book: chapters as executed, every figure with the table that it draws and the record "
        "of the run that made it."
    )
    if book.url:
        root["url"] = book.url
    if book.doi:
        root["identifier"] = doi_address(book.doi)
    root["license"] = _entity(crate, LICENSE, "CreativeWork", name="Creative Commons Attribution 4.0 International",
                              description="Prose and figures may be shared and adapted, with credit.")  # fmt: skip
    root["conformsTo"] = _entity(crate, PROCESS, ["CreativeWork", "Profile"], name="Process Run Crate", version="0.5")


def _software(crate: ROCrate, book: Book) -> ContextEntity:
    mit = _entity(
        crate, _MIT, "CreativeWork", name="MIT License", description="The code may be used freely, with its notice."
    )
    address = book.repository or book.url
    about = {
        "name": "elbo",
        "version": book.version,
        "license": mit,
        "url": address,
        "codeRepository": book.repository,
        "description": "The package behind the book: it runs the chapters, draws the figures and builds the pages.",
    }
    # software without an address may not be called an application (RO-Crate 1.2, "url")
    kind = "SoftwareApplication" if address else "CreativeWork"
    return _entity(
        crate, f"{address}#elbo" if address else "#elbo", kind, **{name: v for name, v in about.items() if v}
    )


def _figure(
    crate: ROCrate, site: Path, id: str, about: dict[str, Any], pages: dict[str, tuple[str, str]]
) -> list[File]:
    """The files of a figure: SVG, PDF, PNG, table and record, the first of them the one that describes it."""
    page = {"@id": pages[about["docname"]][0]}
    shown = {"name": f"Figure {id}: {question(about['caption'])}", "description": about["alt"], "isPartOf": page}
    table = _file(crate, site, f"figures/{id}.csv", name=f"Table of figure {id}", isPartOf=page,
                  description="The numbers that the figure draws.")  # fmt: skip
    said = swhid.of(about["record"])
    identity = {"identifier": found} if (found := list(filter(None, [said["revision"], *said["content"]]))) else {}
    record = _file(
        crate,
        site,
        f"figures/{id}.json",
        name=f"Record of figure {id}",
        isPartOf=page,
        **identity,
        description="Parameters, versions, device, data and commit of the run that made the figure.",
    )
    others = [_file(crate, site, f"figures/{id}.{format}", "ImageObject", **shown) for format in ("pdf", "png")]
    vector = _file(crate, site, f"figures/{id}.svg", "ImageObject", **shown, identifier=id, caption=about["caption"],
                   isBasedOn=table, subjectOf=record, encoding=others)  # fmt: skip
    return [vector, *others, table, record]


def _run(
    crate: ROCrate,
    site: Path,
    chapter: str,
    figures: dict[str, dict[str, Any]],
    run: dict[str, Any],
    notebooks: list[str],
    results: list[File],
    software: ContextEntity,
) -> ContextEntity:
    """The ``CreateAction`` of a chapter. All of its figures come from one run, so any record tells of it."""
    record = next(iter(figures.values()))["record"]
    about = record["environment"]
    files = {name.rsplit(".", 1)[1]: name for name in notebooks}
    action = {
        "name": f"Run of {chapter}",
        "description": record["command"],
        "instrument": software,
        "actionStatus": "http://schema.org/CompletedActionStatus",
        "object": _inputs(crate, chapter, record),
        "result": list(results),
    }
    if "md" in files:
        text = {
            "name": f"Chapter {chapter}, as written",
            "description": "Prose and code of the chapter: a notebook as text.",
            "programmingLanguage": _python(crate, about),
            "softwareRequirements": [software, *_packages(crate, about)],
        }
        if about.get("commit"):
            text["version"] = about["commit"]
        action["instrument"] = _file(crate, site, files["md"], "SoftwareSourceCode", **text)
    if "ipynb" in files:
        notebook = _file(crate, site, files["ipynb"], name=f"Chapter {chapter}, as executed",
                         description="The chapter with the output of the run.")  # fmt: skip
        action["result"].append(notebook)
    if run.get("finished"):
        action["endTime"] = run["finished"]
    return _entity(crate, f"#run-{chapter}", "CreateAction", **action)


def _inputs(crate: ROCrate, chapter: str, record: dict[str, Any]) -> list[ContextEntity]:
    parameters = {**record["parameters"], **record.get("settings", {})}
    inputs = [
        _entity(crate, f"#{chapter}-{name}", "PropertyValue", name=name, value=json.dumps(value, ensure_ascii=False))
        for name, value in parameters.items()
    ]
    about = record["environment"]
    for kind in ("data", "reference"):
        for name, digest in about.get(kind, {}).items():
            inputs.append(_entity(crate, f"#{chapter}-{kind}-{name.replace('/', '-')}", "PropertyValue",
                                  name=f"{kind}: {name}", propertyID="sha256", value=digest))  # fmt: skip
    return inputs


def _python(crate: ROCrate, about: dict[str, Any]) -> ContextEntity:
    version, home = about.get("python", ""), "https://www.python.org/"
    return _entity(crate, f"{home}#{version}", "ComputerLanguage", name="Python", version=version, url=home)


def _packages(crate: ROCrate, about: dict[str, Any]) -> list[ContextEntity]:
    return [
        _entity(crate, f"{_HOMES[name]}#{version}", "SoftwareApplication", name=name, version=version, url=_HOMES[name])
        for name, version in about.get("packages", {}).items()
        if version and name in _HOMES
    ]


def _author(crate: ROCrate, author: Author) -> ContextEntity:
    if author.name:
        return _entity(crate, "#" + "-".join(author.name.split()), "Organization", name=author.name)
    name = " ".join(filter(None, [author.given, author.family]))
    return _entity(crate, "#" + "-".join(name.split()), "Person", name=name)


def _work(crate: ROCrate, work: Work) -> ContextEntity:
    about = {"name": work.title, "creditText": "; ".join(map(str, work.authors)), "url": work.address,
             "datePublished": work.year}  # fmt: skip
    return _entity(crate, work.address, "ScholarlyArticle", **{name: value for name, value in about.items() if value})


def _entity(crate: ROCrate, id: str, type: str | list[str], /, **properties: Any) -> ContextEntity:
    """A thing that is described but is no file of the site; one that is there already is returned as it is."""
    if known := crate.get(id):
        return known
    entity = crate.add(ContextEntity(crate, id, {"@type": type}))
    _set(entity, properties)
    return entity


def _file(crate: ROCrate, site: Path, path: str, type: str = "", /, **properties: Any) -> File:
    """A file of the site, with its kind, size and sha256. Its licence and authors are the site's."""
    file = crate.add(File(crate, site / path, path, properties={"@type": ["File", type]} if type else None))
    content = (site / path).read_bytes()
    size, digest = str(len(content)), hashlib.sha256(content).hexdigest()
    _set(file, properties | {"encodingFormat": _KINDS[path.rsplit(".", 1)[1]], "contentSize": size, "sha256": digest})
    return file


def _set(entity: ContextEntity | File, properties: dict[str, Any]) -> None:
    for name, value in properties.items():
        entity[name] = value[0] if isinstance(value, list) and len(value) == 1 else value
