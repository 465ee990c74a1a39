"""The engine behind the formulas: a process that used it ends."""

import subprocess
import sys


def test_a_process_that_set_a_formula_ends():
    """One after another, as a page build does; half of such processes hung at exit while the engine was left open."""
    script = "from elbo.companion.pages.katex import render; print(len(render('x^2', True)) > 100)"
    for _ in range(6):
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
        assert done.stdout == "True\n"
