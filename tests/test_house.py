"""The floors of the house, read from the imports of every module: what each may import, and that there is no circle."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import pytest

from checkout import ROOT
from house_map import SECTIONS, named, with_map
from imports import circle, graph, imports

PACKAGE = ROOT / "src" / "elbo"
GRAPH = graph(PACKAGE)
WING = "elbo.companion"
WING_FLOORS = (("project",), ("record",), ("kernel", "run"), ("reproduce", "pages"), ("release",))
"""Rooms of the publishing wing, lowest first; two rooms on one floor do not import each other."""
FLOORS = (
    ("ledger", "checks", "devices", "densities"),
    ("data", "models", "training"),
    ("inference", "estimators"),
    ("disentanglement",),
    ("reference",),
    ("experiments", "figures"),
    ("errata", "scoreboard", "live", "sweep"),
)
"""The way of the mathematics, lowest first; modules of one floor may import each other where it makes no circle."""
SHARED = {"elbo", "elbo.ledger"}
OUTSIDE = {"elbo.companion", "elbo.companion.project.settings"}
"""What data sets and reference tables may import of the wing: where the checkout is."""


def room(module: str, base: str) -> str | None:
    """The part of a dotted name after ``base``."""
    return module.removeprefix(base + ".").split(".")[0] if module.startswith(base + ".") else None


def level(module: str, base: str, floors) -> int | None:
    name = room(module, base)
    return next((number for number, rooms in enumerate(floors) if name in rooms), None)


def wing_looks_outside(modules) -> list[str]:
    """Modules of the wing that import anything of the package but the wing and the ledger."""
    return [
        f"{name} imports {other}"
        for name, others in modules.items()
        for other in sorted(others)
        if name.startswith(WING) and not other.startswith(WING) and other not in SHARED
    ]


def climbs(modules, base: str, floors, neighbours: bool) -> list[str]:
    """Imports of a higher floor, and where ``neighbours`` may not see each other of another room on the same floor."""
    found = []
    for name, others in modules.items():
        here = level(name, base, floors)
        for other in sorted(others):
            there = level(other, base, floors)
            if here is None or there is None:
                continue
            if there > here or (not neighbours and there == here and room(name, base) != room(other, base)):
                found.append(f"{name} imports {other}")
    return found


def mathematics_looks_in(modules) -> list[str]:
    """Modules of the lower floors that import more of the wing than where the checkout is;
    ``elbo.reference`` records runs.
    """
    return [
        f"{name} imports {other}"
        for name, others in modules.items()
        for other in sorted(others)
        if (here := level(name, "elbo", FLOORS)) is not None
        and here < len(FLOORS) - 1
        and room(name, "elbo") != "reference"
        and other.startswith(WING)
        and other not in OUTSIDE
    ]


def figures_import_experiments(modules) -> list[str]:
    return [
        f"{name} imports {other}"
        for name, others in modules.items()
        for other in sorted(others)
        if name.startswith("elbo.figures") and other.startswith("elbo.experiments")
    ]


def test_the_wing_imports_of_the_package_only_the_ledger():
    assert wing_looks_outside(GRAPH) == []


def test_no_room_of_the_wing_imports_a_higher_floor_or_its_neighbour():
    assert climbs(GRAPH, WING, WING_FLOORS, neighbours=False) == []


def test_the_mathematics_goes_one_way():
    assert climbs(GRAPH, "elbo", FLOORS, neighbours=True) == []
    assert mathematics_looks_in(GRAPH) == []


def test_figures_import_no_experiments():
    assert figures_import_experiments(GRAPH) == []


def test_no_module_imports_itself_by_a_detour():
    assert circle(GRAPH) == []


def test_every_module_belongs_to_a_floor():
    """A new part of the package is given its place here, before anything can be said of it."""
    known = {name for rooms in FLOORS for name in rooms} | {"companion", "cli", "api", "doctor"}
    assert {path.stem for path in PACKAGE.iterdir() if path.suffix in ("", ".py") and path.name[0] not in "_."} <= known
    rooms = {name for names in WING_FLOORS for name in names}
    folders = {path.name for path in (PACKAGE / "companion").iterdir() if path.is_dir() and path.name[0] != "_"}
    assert folders == rooms


def strangers(tests) -> list[str]:
    """Folders with tests that are no folder of the package; ``book`` and ``browser`` are about what is made from it."""
    folders = {path.parent.relative_to(tests) for path in tests.rglob("test_*.py")}
    own = {folder for folder in folders if folder.parts and folder.parts[0] not in ("book", "browser")}
    return sorted(folder.as_posix() for folder in own if not (PACKAGE / folder).is_dir())


def test_the_tests_mirror_the_package(tmp_path):
    assert strangers(ROOT / "tests") == []
    (tmp_path / "models" / "extra").mkdir(parents=True)
    (tmp_path / "models" / "test_vae.py").touch()
    (tmp_path / "models" / "extra" / "test_more.py").touch()
    assert strangers(tmp_path) == ["models/extra"]


def test_the_map_in_contributing_is_the_tree():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    assert text.count("<!-- map: ") == len(SECTIONS) == text.count("<!-- end -->")
    assert with_map(text) == text, "run python tests/support/house_map.py"
    assert all((ROOT / name).exists() for name in named(text))


def test_the_four_questions_have_answers_that_are_there():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    part = text[text.index("## Four questions") : text.index("## A new chapter")]
    answers = re.findall(r"^\| (?!Question|-).+ \| `(.+)` \|$", part, re.MULTILINE)
    assert len(answers) == 4 and all((ROOT / answer).is_file() for answer in answers)


def test_every_room_of_the_wing_says_where_it_runs():
    for names in WING_FLOORS:
        for name in names:
            text = (PACKAGE / "companion" / name / "__init__.py").read_text()
            first = ast.get_docstring(ast.parse(text))
            assert "uns in" in first and "import" in first, name


def test_only_the_settings_know_where_the_package_is():
    counting = [
        path.relative_to(PACKAGE).as_posix()
        for path in sorted(PACKAGE.rglob("*.py"))
        if "__file__" in (text := path.read_text()) and ("parents[" in text or ".parent.parent" in text)
    ]
    assert counting == ["companion/project/settings.py"]


def test_nobody_looks_into_the_loaded_modules_of_the_mathematics():
    for path in (PACKAGE / "companion").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.modules":
                assert path.name == "environment.py"
    assert "elbo." not in "".join(
        line for line in (PACKAGE / "companion/record/environment.py").read_text().splitlines() if "sys.modules" in line
    )


def test_the_command_answers_before_anything_heavy_is_imported():
    code = (
        "import sys; from elbo.companion import run, record, project; import elbo.companion.run.plans; "
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "matplotlib", "pandas", "sphinx"} & set(done.stdout.split())


@pytest.mark.parametrize(
    ("module", "imported", "rule"),
    [
        ("elbo.companion.record.words", "elbo.data.registry", wing_looks_outside),
        ("elbo.densities", "elbo.models.vae", lambda g: climbs(g, "elbo", FLOORS, True)),
        ("elbo.inference.cavi", "elbo.experiments", lambda g: climbs(g, "elbo", FLOORS, True)),
        ("elbo.companion.project.paths", "elbo.companion.record", lambda g: climbs(g, WING, WING_FLOORS, False)),
        ("elbo.companion.run.accept", "elbo.companion.kernel.session", lambda g: climbs(g, WING, WING_FLOORS, False)),
        ("elbo.models.vae", "elbo.companion.record", mathematics_looks_in),
        ("elbo.figures.style", "elbo.experiments", figures_import_experiments),
        ("elbo.data.store", "elbo.data.parse", circle),
    ],
)
def test_each_rule_sees_what_it_forbids(module, imported, rule):
    assert rule({**GRAPH, module: GRAPH[module] | {imported}})


def test_imports_are_read_where_they_hide():
    known = {"elbo.data", "elbo.data.sets", "elbo.models", "elbo.figures"}
    source = """
from elbo.data import sets
if TYPE_CHECKING:
    import elbo.figures
def lazy():
    with open("x") as file:
        try:
            import elbo.models
        except ImportError:
            import elbo.data
"""
    assert imports(source, "elbo.x", known) == {"elbo.data.sets", "elbo.models", "elbo.data"}
    assert imports(source, "elbo.x", known, lazy=False) == {"elbo.data.sets"}
    with pytest.raises(ValueError, match="say the whole name"):
        imports("from . import sets", "elbo.data", known)
