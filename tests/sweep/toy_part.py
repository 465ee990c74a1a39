"""A reference table of a toy chapter, measured in parts: ``python toy_part.py FOLDER PAUSE ARGUMENTS...`` stands for
``python -m elbo.reference ARGUMENTS...`` with tables and checkpoints under FOLDER, PAUSE seconds after each block."""

import sys
import time
from functools import partial
from pathlib import Path

import pandas as pd
import torch

from elbo import reference
from elbo.data import load
from elbo.reference.parts import Sweep
from elbo.training import fit

BLOCKS = 40


def loss(params, x, noise, scalars):
    """A linear network that learns the mean grey level of a digit."""
    return (x @ params["w"] - x.mean(-1)).square().mean()


def measure(stack, device, pause: float = 0.0):
    """Training in blocks of ten steps, a checkpoint after each; the error at every tenth block."""
    images = load("digits", split="train").images
    tables = []
    for part in stack:
        fitted = fit(
            loss,
            {"w": torch.zeros(1, 64)},
            images,
            seeds=[part["seed"]],
            steps=10 * BLOCKS,
            batch_size=20,
            block=10,
            compile=False,
            record=lambda run: [{"steps": run.steps, "error": float(loss({"w": run.params["w"][0]}, images, {}, {}))}],
            record_at=range(0, 10 * BLOCKS + 1, 100),
            checkpoint=reference.scratch("toy-2013", f"{part['seed']}"),
            checkpoint_seconds=0.0,
            progress=lambda done, steps, losses: time.sleep(pause),
        )
        tables.append(pd.DataFrame(fitted.records))
    return tables


def install(folder: Path, pause: float = 0.0, parts: int = 3) -> None:
    """The toy chapter in place of the real ones."""
    grid = [{"seed": seed, "batch": 20} for seed in range(parts)]
    reference.directory = lambda: folder / "data" / "reference"
    reference.chapters = lambda: ["toy-2013"]
    reference.tables = lambda chapter: {}
    reference.sweeps = lambda chapter: {"errors": Sweep(partial(measure, pause=pause), grid, alike=("batch",))}


if __name__ == "__main__":
    torch.set_num_threads(1)
    install(Path(sys.argv[1]), float(sys.argv[2]))
    sys.exit(reference.main(sys.argv[3:]))
