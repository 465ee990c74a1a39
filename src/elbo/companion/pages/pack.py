"""Fewer and lighter files for every page: one style sheet, two scripts, an icon font of the icons that are used.

Runs on the finished site. A page of the theme asks for fourteen style sheets and nineteen scripts, nine in ten of them
the same on every page, and for a font of 1,400 icons of which a dozen are drawn. Here those of one page are joined in
their order under ``_static/packed/``, named by their contents, and pages with the same lists share the files.
The single files stay where they are, for pages that address them.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from sphinx.application import Sphinx

from elbo.companion.pages.medium import is_web
from elbo.companion.pages.screen import for_screen

__all__ = ["pack_page", "pack_site", "setup", "slim_icons"]

FOLDER = "_static/packed"
_SHEET = re.compile(r'[ \t]*<link\b(?=[^>]*\brel="stylesheet")[^>]*\bhref="([^":?]+)(?:\?[^"]*)?"[^>]*/?>\n?')
_SCRIPT = re.compile(r'[ \t]*<script\b([^>]*)\bsrc="([^":?]+)(?:\?[^"]*)?"([^>]*)></script>\n?')
_OPTION = re.compile(r"[ \t]*<script>DOCUMENTATION_OPTIONS\.[^<]*</script>\n?")
_PRELOAD = re.compile(r'[ \t]*<link rel="preload" as="script"[^>]*/?>\n?')
_IMPORT = re.compile(r'@import\s+(?:url\()?"?([^";)]+)"?\)?\s*;')
_URL = re.compile(r"url\((['\"]?)(?!data:|#|[a-z]+:)([^'\")]+)\1\)")
_ICON = re.compile(r'((?:\.fa-[a-z0-9-]+(?:::?before)?,?)+)\{content:"(\\[0-9a-f]+|.)"\}')
_CONTENT = re.compile(r"""["']\\([0-9a-f]{2,4})\s*["']""")
_PRIVATE = re.compile("[\ue000-\uf8ff]")
"""Icons are named by their code or stand in the sheet as the sign itself, as in the theme's ``--pst-icon-*``."""
_FACE = re.compile(r"url\(([^)]*fa-solid-900)\.woff2\) format\(\"woff2\"\),url\([^)]*\) format\(\"truetype\"\)")
_SEARCH = re.compile(r'[ \t]*<script src="[^"]*(?:searchtools|language_data|searchindex)\.js[^"]*"></script>\n?')


def pack_site(root: Path) -> None:
    """Pack every page under ``root``, the directory of the finished HTML."""
    pages = {path: path.read_text(encoding="utf-8") for path in sorted(root.rglob("*.html")) if _is_page(path, root)}
    scripts = "".join(path.read_text("utf-8", errors="replace") for path in sorted((root / "_static").rglob("*.js")))
    names = set(re.findall(r"\bfa-[a-z0-9-]+", "".join(pages.values()) + scripts))
    for path, html in pages.items():
        packed = pack_page(html, path.parent.relative_to(root).as_posix(), root, names)
        if packed != html:
            path.write_text(packed, encoding="utf-8")


def pack_page(html: str, folder: str, root: Path, icons: set[str]) -> str:
    """The HTML of a page in ``folder`` (relative to ``root``) that asks for joined files, which are written.

    Args:
        icons: the names of icons (``fa-download``) that any page or script uses; rules for others are dropped.
    """
    head, mark, body = html.partition("</head>")
    if not mark:
        return html
    if "searchtools.js" in html and 'id="search-results"' not in html:
        head = _SEARCH.sub("", head)  # the theme loads the index on every page; only the page of results reads it
    head = _PRELOAD.sub("", head)
    sheets = [_local(found[1], folder) for found in _SHEET.finditer(head)]
    if all((root / sheet).is_file() for sheet in sheets) and len(sheets) > 1:
        text = slim_icons("".join(_inlined(root, sheet) for sheet in sheets), icons, root)
        head = _joined(_SHEET, head, f'<link rel="stylesheet" href="{_write(root, folder, text, "css")}" />\n')
    blocking = [found for found in _SCRIPT.finditer(head) if not _later(found)]
    deferred = [found for found in _SCRIPT.finditer(head + body) if _later(found)]
    for group, how in ((blocking, ""), (deferred, " defer")):
        files = [root / _local(found[2], folder) for found in group]
        if len(group) < 2 or not all(file.is_file() for file in files):
            continue
        data = " ".join(re.findall(r'data-[a-z-]+="[^"]*"', " ".join(found[1] + found[3] for found in group)))
        text = "".join(f";{file.read_text(encoding='utf-8')}\n" for file in files)
        tag = f'<script{how} src="{_write(root, folder, text, "js")}"{" " + data if data else ""}></script>\n'
        taken = {found[0] for found in group}
        place = group[-1][0] if not how else group[0][0]  # what blocks may need the constants between; they come first
        if not how:  # what sets an option of Sphinx needs the script that makes the options
            tag, head = tag + "".join(_OPTION.findall(head)), _OPTION.sub("", head)
        head = head.replace(place, tag, 1)
        for found in taken - {place}:
            head, body = head.replace(found, ""), body.replace(found, "")
    return head + mark + body


def slim_icons(css: str, icons: set[str], root: Path) -> str:
    """``css`` without rules for icons that nobody uses, and its icon font cut down to the rest."""

    def kept(rule: re.Match[str]) -> str:
        used = [one for one in rule[1].split(",") if (icon := re.match(r"\.(fa-[a-z0-9-]+)", one)) and icon[1] in icons]
        return f'{",".join(used)}{{content:"{rule[2]}"}}' if used else ""

    css = _ICON.sub(kept, css)
    glyphs = sorted({*_CONTENT.findall(css), *(f"{ord(sign):x}" for sign in _PRIVATE.findall(css))})
    return _FACE.sub(lambda face: f'url({_font(root, face[1], glyphs)}) format("woff")', css) if glyphs else css


def _font(root: Path, stem: str, glyphs: list[str]) -> str:
    """The address, from a packed sheet, of the icon font with ``glyphs`` (hexadecimal) alone."""
    from fontTools import subset

    source = root / posixpath.normpath(f"{FOLDER}/{stem}.ttf")
    options = subset.Options(flavor="woff", layout_features=[], notdef_outline=True, glyph_names=False)
    options.drop_tables += ["GSUB", "GPOS"]
    font = subset.load_font(str(source), options)
    font.recalcTimestamp = False
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=[int(code, 16) for code in glyphs])
    cutter.subset(font)
    stream = BytesIO()
    subset.save_font(font, stream, options)
    name = f"icons-{hashlib.sha256(stream.getvalue()).hexdigest()[:12]}.woff"
    (root / FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
    (root / FOLDER / name).write_bytes(stream.getvalue())
    return name


def _is_page(path: Path, root: Path) -> bool:
    return path.relative_to(root).parts[0] not in ("_static", "reference")


def _later(found: re.Match[str]) -> bool:
    return bool(re.search(r"\bdefer\b", found[1] + found[3]))


def _local(address: str, folder: str) -> str:
    return posixpath.normpath(posixpath.join(folder, unquote(address)))


def _inlined(root: Path, sheet: str) -> str:
    """A style sheet with what it imports, its addresses as seen from :data:`FOLDER`."""
    text = (root / sheet).read_text(encoding="utf-8").removeprefix("\ufeff").replace('@charset "UTF-8";', "")
    here = posixpath.dirname(sheet)
    pieces = _IMPORT.split(text)  # text, address, text, ...

    def seen_from_here(found: re.Match[str]) -> str:
        return f"url({found[1]}{posixpath.relpath(_local(found[2], here), FOLDER)}{found[1]})"

    pieces[::2] = [_URL.sub(seen_from_here, piece) for piece in pieces[::2]]
    pieces[1::2] = [_inlined(root, _local(address, here)) for address in pieces[1::2]]
    return "".join(pieces) + "\n"


def _joined(pattern: re.Pattern[str], text: str, tag: str) -> str:
    """``text`` with ``tag`` in place of the first match and without the others."""
    first = iter([tag])
    return pattern.sub(lambda found: next(first, ""), text)


def _write(root: Path, folder: str, text: str, suffix: str) -> str:
    name = f"{FOLDER}/{hashlib.sha256(text.encode()).hexdigest()[:16]}.{suffix}"
    if not (path := root / name).exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return posixpath.relpath(name, folder)


def _finish(app: Sphinx, error: Exception | None) -> None:
    if error is not None or not is_web(app.builder):
        return
    for drawing in sorted((Path(app.outdir) / "_images").glob("*.svg")):
        drawing.write_text(for_screen(drawing.read_text(encoding="utf-8")), encoding="utf-8")
    pack_site(Path(app.outdir))


def setup(app: Sphinx) -> dict[str, Any]:
    """Pack the site when every page is written, before it is described file by file."""
    app.connect("build-finished", _finish, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
