"""The renderer under its former name: an entry point that was installed before the move names this one."""

from elbo.companion.pages.figures import FigureRenderer

__all__ = ["FigureRenderer"]
