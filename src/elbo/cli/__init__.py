"""The command ``elbo``: a module for each group of verbs, thin over the packages that do the work.

Nothing heavy is imported before a verb is called: ``elbo --help`` must answer at once. The exit codes are those of
:mod:`elbo.companion.project.errors`.
"""

from elbo.cli.entry import main

__all__ = ["main"]
