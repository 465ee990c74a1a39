"""Every example that a ``--help`` shows is one that works: its options exist, and what it names is in the book."""

from __future__ import annotations

import re
import shlex

import pytest
import typer.main

from checkout import ROOT
from elbo.cli.arguments import paired, pairs
from elbo.cli.entry import app, main
from elbo.companion.project.chapters import chapter_keys, read_chapter
from elbo.companion.project.paths import Project
from elbo.companion.project.profiles import load_profile, resolve
from elbo.data.registry import DATASETS

PROJECT = Project(ROOT)
TOP = typer.main.get_command(app)


def commands(group=TOP, words: tuple[str, ...] = ()):
    """Every verb with its words: ``("data", "fetch"), command``."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*words, name))
        else:
            yield (*words, name), command


def examples(command) -> list[str]:
    return re.findall(r"\[bold\](elbo .*?)\[/\]", command.epilog or "")


SHOWN = [(words, text) for words, command in commands() for text in examples(command)]


def parsed(text: str) -> tuple[tuple[str, ...], dict]:
    """The verb of an example and its values, as the command itself reads them; nothing is run."""
    given = paired(shlex.split(text.partition(" > ")[0])[1:])
    command, words = TOP, []
    while hasattr(command, "commands"):
        words.append(given.pop(0))
        command = command.commands[words[-1]]
    return tuple(words), command.make_context(" ".join(words), given).params


def test_every_verb_shows_an_example():
    assert {words for words, _ in SHOWN} == {words for words, _ in commands()}
    assert len(SHOWN) > 20


@pytest.mark.parametrize(("words", "text"), SHOWN, ids=[text for _, text in SHOWN])
def test_an_example_is_a_command_of_this_book(words, text, monkeypatch):
    verb, values = parsed(text)
    assert verb == words
    keys = chapter_keys(PROJECT)
    profile = load_profile(PROJECT, values.get("profile") or "quick")
    if verb == ("run",):
        for name in values["chapters"]:
            resolve(read_chapter(PROJECT, name), profile, pairs(values["parameter"]), values["device"])
    if verb == ("notebook",):
        assert set(values["chapters"] or ()) <= set(keys)
    if verb == ("params",):
        assert values["chapter"] in keys
    if verb in (("cite",), ("reproduce",)):
        id = re.sub(r"\.\w+$", "", values.get("id") or values["figure"])
        sources = [read_chapter(PROJECT, key).source for key in keys if id.startswith(key)]
        assert any(re.search(rf'id="{id}"', source) for source in sources) or "/" in id
    if verb == ("data", "fetch"):
        assert set(values["names"] or ()) <= set(DATASETS) and bool(values["names"]) != values["everything"]
    if verb == ("sweep",):
        monkeypatch.chdir(ROOT)
        dry = shlex.split(text)[1:]
        assert main([*dry, *([] if "--dry-run" in dry else ["--dry-run"])]) == 0


def test_an_example_that_would_fail_is_noticed():
    """The one that stood in ``elbo run --help`` named a parameter that no chapter has."""
    _, values = parsed("elbo run kingma-welling-2013 --profile smoke -p latent_dim 2")
    with pytest.raises(Exception, match="did you mean 'latent_dims'"):
        resolve(
            read_chapter(PROJECT, "kingma-welling-2013"), load_profile(PROJECT, "smoke"), pairs(values["parameter"])
        )
