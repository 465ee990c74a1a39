"""From ``_config.yml`` to the values that Sphinx takes, without jupyter-book.

It is the second way to build the pages, and the only one to PDF and EPUB. jupyter-book 1 reads the same file and ends
at the same values for the keys that this book uses; it adds extensions of its own, which no page here needs. A key
that is not known here is an error, not silence.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from elbo.companion.project.errors import BUILD, CompanionError

__all__ = ["EXTENSIONS", "paper_values", "sphinx_values", "write_conf"]

EXTENSIONS = (
    "sphinx_togglebutton",
    "sphinx_copybutton",
    "myst_nb",
    "sphinx_external_toc",
    "sphinx_book_theme",
    "sphinxcontrib.bibtex",
    "sphinx_multitoc_numbering",
)
"""What jupyter-book loads for every book, less its own extensions and the services that this book does not use."""

_BROWSER = ("sphinx_togglebutton", "sphinx_copybutton")
"""Extensions that only add scripts."""
_CONF = '''"""Written by `elbo build` from _config.yml."""

import json
from pathlib import Path

globals().update(json.loads(Path(__file__).with_name("conf.json").read_text(encoding="utf-8")))
'''
_TOP = {
    "title": "html_title",
    "author": "author",
    "copyright": "copyright",
    "exclude_patterns": "exclude_patterns",
    "bibtex_bibfiles": "bibtex_bibfiles",
}
_EXECUTE = {
    "execute_notebooks": "nb_execution_mode",
    "timeout": "nb_execution_timeout",
    "stderr_output": "nb_output_stderr",
}
_HTML = {"baseurl": "html_baseurl", "favicon": "html_favicon"}
_THEME = {"use_repository_button", "use_issues_button", "use_edit_page_button", "extra_footer", "home_page_in_toc"}


def sphinx_values(config: dict[str, Any]) -> dict[str, Any]:
    """The Sphinx configuration that a jupyter-book configuration means.

    Raises:
        CompanionError: the configuration has a key that only jupyter-book understands (exit code 5).
    """
    left = dict(config)
    left.pop("only_build_toc_files", None)
    values: dict[str, Any] = {
        "project": config.get("title", ""),
        "external_toc_path": "_toc.yml",
        "external_toc_exclude_missing": True,
        "html_theme": "sphinx_book_theme",
        "html_sourcelink_suffix": "",
        "pygments_style": "sphinx",
        "numfig": True,
        "exclude_patterns": [],
        "nb_execution_mode": "off",
    }
    theme: dict[str, Any] = {"search_bar_text": "Search this book...", "home_page_in_toc": True}
    theme["launch_buttons"] = left.pop("launch_buttons", None) or {}
    values |= _taken(left, _TOP)
    values |= _taken(execute := dict(left.pop("execute", None) or {}), _EXECUTE)
    parse = dict(left.pop("parse", None) or {})
    values |= {key: parse.pop(key) for key in list(parse) if key.startswith("myst_")}
    html = dict(left.pop("html", None) or {})
    values |= _taken(html, _HTML)
    theme |= {key: html.pop(key) for key in list(html) if key in _THEME}
    sphinx = dict(left.pop("sphinx", None) or {})
    sphinx.pop("recursive_update", None)
    values["extensions"] = [*EXTENSIONS, *sphinx.pop("extra_extensions", [])]
    own = dict(sphinx.pop("config", None) or {})
    theme |= own.pop("html_theme_options", {})
    values |= {"html_theme_options": theme, **own}
    parts = {"": left, "execute": execute, "parse": parse, "html": html, "sphinx": sphinx}
    if unknown := [f"{part}.{key}".lstrip(".") for part, rest in parts.items() for key in rest]:
        raise CompanionError(
            f"_config.yml: only jupyter-book understands {', '.join(unknown)}; "
            "put what Sphinx should know under sphinx: config:",
            BUILD,
        )
    return values


def paper_values(values: dict[str, Any], source: Path) -> dict[str, Any]:
    """The values for PDF and EPUB: without what only a browser uses, with what only these two do."""
    from elbo.companion.record.book import Book

    title, author, address = values["project"], values.get("author", ""), values.get("html_baseurl", "")
    name = "-".join(title.lower().split()) or "book"
    root = yaml.safe_load((source / "_toc.yml").read_text(encoding="utf-8"))["root"]
    try:
        version = Book.read(source).version
    except FileNotFoundError:
        version = "0"
    own = {
        "extensions": [one for one in values["extensions"] if one not in _BROWSER],
        "html_static_path": [],
        "html_css_files": [],
        "html_js_files": [],
        "version": version,
        "release": version,
        "latex_engine": "xelatex",
        "latex_documents": [[root.rsplit(".", 1)[0], f"{name}.tex", title, author, "manual"]],
        "epub_basename": name,
        "epub_title": title,
        "epub_author": author,
        "epub_publisher": author,
        "epub_copyright": values.get("copyright", ""),
        "epub_identifier": address or f"urn:{name}:{version}",
        "epub_scheme": "URL" if address else "ID",
        "epub_uid": "book-id",
        "epub_show_urls": "no",
        "epub_use_index": False,
        "epub_tocdepth": 2,
        "nb_mime_priority_overrides": [[builder, "text/html", 1] for builder in ("latex", "epub")],
    }
    return {**values, **own}


def _taken(part: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """The values of the keys that Sphinx knows by another name, taken out of ``part``."""
    return {name: part.pop(key) for key, name in names.items() if key in part}


def write_conf(folder: Path, values: dict[str, Any]) -> Path:
    """Write ``conf.py`` and the values that it reads into ``folder``, which is made; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "conf.py").write_text(_CONF, encoding="utf-8")
    (folder / "conf.json").write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return folder
