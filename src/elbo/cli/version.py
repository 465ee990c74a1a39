"""What ``elbo --version`` says."""

from __future__ import annotations

__all__ = ["described"]


def described() -> list[str]:
    """The version, the commit of the code that runs, and the book that a command takes here, a line each.

    The version of a package that is installed from a checkout is that of the day when it was installed; where the
    checkout has moved on, both are named.
    """
    import elbo
    from elbo.companion.project import settings
    from elbo.companion.project.errors import CompanionError
    from elbo.companion.project.paths import find_project
    from elbo.companion.record import words
    from elbo.companion.record.environment import commit

    state = commit(settings.home() or settings.packaged() or settings.PACKAGE)
    version = elbo.__version__
    node = version.partition("+g")[2].split(".")[0]
    if node and state["commit"] and not str(state["commit"]).startswith(node):
        version += " when it was installed; now"
    try:
        root = find_project().root
        place = "the one that came with the package" if settings.is_packaged(root) else str(root)
    except CompanionError:
        place = "none here"
    return [f"elbo {version} (commit {words.commit(state)})", f"package: {settings.PACKAGE}", f"book: {place}"]
