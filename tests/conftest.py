"""Note how the tests of equations ended, in ``_build/equations.json``, for the book to say so
(:mod:`elbo.companion.pages.equations`).

An entry holds for one state of the package and of the test's module; entries of other states are dropped. Nothing is
noted where the package was edited while the tests ran.
"""

import datetime
import json
import os
from pathlib import Path

import elbo
from checkout import ROOT
from elbo.companion.pages.equations import RESULTS
from elbo.companion.record import fingerprint
from elbo.companion.record.environment import commit

PACKAGE = Path(elbo.__file__).parent


def pytest_collection_modifyitems(items):
    for item in items:
        if any(item.iter_markers("equation")):
            item.user_properties.append(("equation", item.location[0].replace(os.sep, "/") + "::" + item.originalname))


def pytest_configure(config):
    if not hasattr(config, "workerinput"):  # with pytest-xdist only the process that hears from all of them
        config.pluginmanager.register(Notes(ROOT / "_build" / RESULTS), "elbo-equation-notes")


class Notes:
    """Collects the outcome of every marked test; several cases of one test count as the worst of them."""

    def __init__(self, path: Path):
        self.path = path
        self.package = None
        self.outcomes: dict[str, str] = {}

    def pytest_sessionstart(self):
        self.package = fingerprint.directory_digest(PACKAGE)

    def pytest_runtest_logreport(self, report):
        for name in (value for key, value in report.user_properties if key == "equation"):
            if report.when == "call" or report.outcome != "passed":
                worst = {"failed": 0, "skipped": 1, "passed": 2}
                known = self.outcomes.get(name, "passed")
                self.outcomes[name] = min(known, report.outcome, key=worst.__getitem__)

    def pytest_sessionfinish(self):
        if not self.outcomes or fingerprint.directory_digest(PACKAGE) != self.package:
            return
        now = {name: {"outcome": outcome, **self._state(name)} for name, outcome in self.outcomes.items()}
        kept = {name: one for name, one in self._before().items() if one == {**one, **self._state(name)}}
        told = {
            "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            **commit(ROOT),
            "tests": dict(sorted({**kept, **now}.items())),
        }
        try:
            self.path.parent.mkdir(exist_ok=True)
            self.path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        except OSError:
            pass  # a checkout that cannot be written to: the tests are what counts here

    def _state(self, name: str) -> dict[str, str | None]:
        module = ROOT / name.partition("::")[0]
        return {"package": self.package, "module": fingerprint.file_digest(module) if module.is_file() else None}

    def _before(self) -> dict[str, dict]:
        try:
            return json.loads(self.path.read_text(encoding="utf-8"))["tests"]
        except (OSError, ValueError, KeyError, TypeError):
            return {}
