"""Sweeps: many parts of reference tables, or many runs of a chapter, on the cores at hand or on a cluster.

A process of its own: it plans jobs, hands them to Snakemake (extra ``[sweep]``) and gathers what they leave. It imports
the mathematics only to ask for the declared sweeps; every job is another process, ``python -m elbo.reference`` or
``elbo run``.

``plan``: jobs. ``engine``: Snakemake, deadlines, locks. ``agreement``: a GPU against the processor. ``runs``: a chapter
at many parameters, and its figures' tables gathered.
"""
