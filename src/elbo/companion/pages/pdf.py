"""The PDF: XeLaTeX on what Sphinx has written, its complaints taken seriously, every figure's record attached."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from elbo.companion.pages import strict
from elbo.companion.project.errors import BUILD, CompanionError
from elbo.companion.project.paths import Project
from elbo.companion.run.progress import Display

__all__ = ["PACKAGES", "complaints", "compiled", "require_tex", "too_wide"]

PACKAGES = (
    "latexmk texlive-xetex texlive-latex-recommended texlive-latex-extra texlive-fonts-recommended tex-gyre "
    "fonts-freefont-otf"
)
"""What the PDF needs, as Debian and Ubuntu name it (about 125 MB to fetch)."""
WIDE = 15.0
"""Points by which text may stick out of its column without being a complaint: about half a centimetre of the margin."""
_OVERFULL = re.compile(r"^Overfull \\hbox \(([\d.]+)pt too wide\) (.*)$", re.MULTILINE)
_MISSING = re.compile(r"^Missing character: There is no (\S+) (?:\(\S+\) )?in font (\S+?)[:!/]", re.MULTILINE)
_UNDEFINED = re.compile(r"^LaTeX Warning: ((?:Hyper r|R)eference `[^']+'.*? undefined)", re.MULTILINE)


def require_tex() -> None:
    """
    Raises:
        CompanionError: there is no XeLaTeX here (exit code 5).
    """
    if not (shutil.which("latexmk") and shutil.which("xelatex")):
        raise CompanionError(
            f"the PDF needs XeLaTeX, which is not here: install it (on Debian and Ubuntu: apt-get install {PACKAGES}), "
            "or leave pdf out of --to",
            BUILD,
        )


def compiled(project: Project, latex: Path, out: Path, display: Display) -> None:
    """Compile the book that Sphinx's LaTeX builder has left in ``latex``; the PDF goes into ``out``.

    Raises:
        CompanionError: TeX stopped, lacks a character in its fonts, or cannot place a reference.
    """
    require_tex()
    display.say("pdf: setting with XeLaTeX")
    (text,) = latex.glob("*.tex")
    log = project.logs / "xelatex.log"
    arguments = ("-xelatex", "-interaction=nonstopmode", "-halt-on-error", "-file-line-error", text.name)
    fixed = {"SOURCE_DATE_EPOCH": "0", "FORCE_SOURCE_DATE": "1", "max_print_line": "1000"}
    status = strict.watched(project, ["latexmk"], arguments, log, latex, **fixed)
    book = text.with_suffix(".pdf")
    if status or not book.is_file():
        raise strict.failed(project, display, "XeLaTeX", log, latex)
    said = text.with_suffix(".log").read_text(encoding="utf-8", errors="replace")
    for one in too_wide(said):
        display.say(f"pdf: {one}")
    if found := complaints(said):
        for one in found:
            display.say(f"pdf: {one}")
        raise CompanionError(
            f"the PDF was not built: problems in the setting (above, {len(found)} in all); "
            "mend the page that each names and build again",
            BUILD,
        )
    _attach(book, latex.parent / "jupyter_execute" / "figures", out / book.name)


def complaints(log: str) -> list[str]:
    """What ends the build: characters without a glyph, references to nothing."""
    missing = (f"no glyph for {character} in {font}" for character, font in _MISSING.findall(log))
    return list(dict.fromkeys([*missing, *_UNDEFINED.findall(log)]))


def too_wide(log: str) -> list[str]:
    """Lines that stick out by more than :data:`WIDE` points: they are named, and the book is made nevertheless."""
    wide = (f"{width} pt too wide {place}" for width, place in _OVERFULL.findall(log) if float(width) > WIDE)
    return list(dict.fromkeys(wide))


def _attach(book: Path, figures: Path, target: Path) -> None:
    """A copy of the PDF with the records of the figures and the tables that they draw as attachments."""
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter(clone_from=PdfReader(book))
    for path in sorted([*figures.glob("*.json"), *figures.glob("*.csv")]):
        writer.add_attachment(path.name, path.read_bytes())
    writer.write(target)
