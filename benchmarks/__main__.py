"""Run the benchmarks: ``python -m benchmarks [name ...] [--json]``."""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import sys

import pandas as pd

import benchmarks


def main(argv: list[str] | None = None) -> int:
    """Run the named modules, or all that have a ``run``; print a table for each, or JSON for all of them."""
    found = {}
    for module in pkgutil.iter_modules(benchmarks.__path__):
        if not module.name.startswith("_"):
            loaded = importlib.import_module(f"benchmarks.{module.name}")
            if hasattr(loaded, "run"):
                found[module.name] = loaded
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"any of: {', '.join(found)} (default: all)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    options = parser.parse_args(argv)
    unknown = set(options.names) - set(found)
    if unknown:
        parser.error(f"unknown benchmark {sorted(unknown)[0]!r}; there are: {', '.join(found)}")
    results = {}
    for name in options.names or found:
        results[name] = found[name].run()
        if not options.json:
            print(f"\n{name}: {(found[name].__doc__ or '').strip().splitlines()[0]}", flush=True)
            table = pd.DataFrame(results[name])
            print(table.to_string(index=False, float_format="{:.3g}".format, na_rep=""), flush=True)
    if options.json:
        json.dump(results, sys.stdout, indent=2)
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
