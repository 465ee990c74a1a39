"""Tables written as HTML (by pandas, or by this package for the pages) as tables of the document, for paper."""

from __future__ import annotations

from html.parser import HTMLParser

from docutils import nodes

__all__ = ["tables_of"]


class _Reader(HTMLParser):
    """Reads the rows of every table, and the words of a ``<summary>`` before it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[nodes.Node] = []
        self.head: list[list[str]] = []
        self.body: list[list[str]] = []
        self.rows = self.body
        self.words: list[str] | None = None

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.head, self.body = [], []
            self.rows = self.body
        elif tag in ("thead", "tbody"):
            self.rows = self.head if tag == "thead" else self.body
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th", "summary", "caption"):
            self.words = []

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append(" ".join("".join(self.words or []).split()))
        elif tag in ("summary", "caption"):
            said = " ".join("".join(self.words or []).split())
            self.found.append(nodes.paragraph("", "", nodes.strong("", said)))
        elif tag == "table":
            self.found.append(_table(self.head, self.body))
        if tag in ("td", "th", "summary", "caption"):
            self.words = None

    def handle_data(self, data: str) -> None:
        if self.words is not None:
            self.words.append(data)


def tables_of(html: str) -> list[nodes.Node]:
    """Every table of a piece of HTML, each with its summary or caption as a line above it."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.found


def _table(head: list[list[str]], body: list[list[str]]) -> nodes.table:
    """A table whose columns are as wide as what they hold; short rows are filled up with empty cells."""
    rows = [*head, *body]
    columns = max((len(row) for row in rows), default=1)
    widths = [max((len(row[i]) for row in rows if i < len(row)), default=1) for i in range(columns)]
    specifications = (nodes.colspec(colwidth=min(max(width, 4), 40)) for width in widths)
    group = nodes.tgroup("", *specifications, cols=columns)
    if head:
        group += nodes.thead("", *(_row(row, columns) for row in head))
    group += nodes.tbody("", *(_row(row, columns) for row in body))
    return nodes.table("", group, classes=["elbo-printed"])


def _row(cells: list[str], columns: int) -> nodes.row:
    filled = [*cells, *[""] * (columns - len(cells))]
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", cell)) for cell in filled))
