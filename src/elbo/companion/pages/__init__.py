"""The pages of the book. Runs in Sphinx (``build`` starts it); may import Sphinx and docutils, of this
wing ``project`` and ``record``.
"""
