"""Every source of the book can be found: a DOI, an arXiv number or an address, in its proper form."""

import re

import pytest
from pybtex.database import parse_file

from checkout import ROOT

ENTRIES = parse_file(str(ROOT / "book" / "references.bib")).entries
FORMS = {
    "doi": r"10\.\d{4,9}/\S+",
    "eprint": r"\d{4}\.\d{4,5}",
    "url": r"https?://\S+",
    "howpublished": r"\\url\{https?://[^\s}]+\}",
}


@pytest.mark.parametrize("key", ENTRIES)
def test_every_entry_has_a_link(key):
    fields = ENTRIES[key].fields
    found = {name: fields[name] for name in FORMS if name in fields}
    assert found, f"{key} has neither doi nor eprint nor url"
    for name, value in found.items():
        assert re.fullmatch(FORMS[name], value), f"{key}: {name} = {value}"
    assert "arXiv" not in fields.get("note", ""), f"{key}: put the arXiv number into eprint, where it becomes a link"
