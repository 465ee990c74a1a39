"""The EPUB: what Sphinx has packed, with its manifest complete, packed again so that equal books have equal bytes."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

__all__ = ["PROPERTIES", "declared", "drawing", "packed"]

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can hold
PROPERTIES = {"mathml": "<math", "svg": "<svg", "scripted": "<script"}
"""Properties that the manifest must declare of a page, each with what in the page calls for it (EPUB 3.3, D.6)."""
_ITEM = re.compile(r'<item\b[^>]*\bhref="([^"]+)"[^>]*\bmedia-type="application/xhtml\+xml"[^>]*?\s*/>')
_IDENTIFIER = re.compile(r"<dc:identifier\b[^>]*>([^<]*)</dc:identifier>")
_UID = re.compile(r'(<meta name="dtb:uid" content=")[^"]*(")')
_DOCTYPE = re.compile(r"<!DOCTYPE[^>]*>\s*")
_EMPTY = re.compile(r"<path\b(?![^>]*\sd=)")


def packed(folder: Path, out: Path) -> Path:
    """Pack the EPUB that Sphinx's builder has left in ``folder`` into ``out`` once more; returns the file.

    ``mimetype`` stands first and is stored; the other files follow by name, with one time for all.
    """
    (book,) = folder.glob("*.epub")
    with zipfile.ZipFile(book) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    package = declared(files["content.opf"].decode(), files)
    files["content.opf"] = package.encode()
    uid = _IDENTIFIER.search(package)
    if uid and "toc.ncx" in files:  # the two must name the book alike
        files["toc.ncx"] = _UID.sub(rf"\g<1>{uid[1]}\g<2>", files["toc.ncx"].decode()).encode()
    for name in [name for name in files if name.endswith(".svg")]:
        files[name] = drawing(files[name].decode()).encode()
    target = out / book.name
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(zipfile.ZipInfo("mimetype", _EPOCH), files.pop("mimetype"), zipfile.ZIP_STORED)
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), files[name], zipfile.ZIP_DEFLATED)
    return target


def declared(opf: str, files: dict[str, bytes]) -> str:
    """A package document whose items say what their pages hold: formulas, inline pictures, scripts."""

    def item(match: re.Match[str]) -> str:
        page = files.get(match[1], b"").decode()
        needed = [name for name, mark in PROPERTIES.items() if mark in page]
        if not needed:
            return match[0]
        kept = " ".join(re.findall(r'properties="([^"]*)"', match[0])).split()
        bare = re.sub(r'\s*properties="[^"]*"|\s*/>$', "", match[0])
        return f'{bare} properties="{" ".join(dict.fromkeys([*kept, *needed]))}"/>'

    return _ITEM.sub(item, opf)


def drawing(svg: str) -> str:
    """An SVG as EPUB takes it: without a document type elsewhere, and with what a path must say, if only nothing."""
    return _EMPTY.sub('<path d=""', _DOCTYPE.sub("", svg, count=1))
