"""Benchmarks: every module here with ``run() -> list of rows`` is found and run by ``python -m benchmarks``."""
