"""Import torchvision, also next to a torch without its compiled operators.

The package index serves a torchvision whose compiled part belongs to a CUDA build of torch. Next to a CPU build that
part does not load and ``import torchvision`` stops with ``operator torchvision::nms does not exist``, although its
data sets, transforms and ``make_grid`` need no compiled operator. Declaring the two missing operators (without an
implementation: calling one still fails) is enough.
"""

from __future__ import annotations

import functools
import importlib
import sys
from types import ModuleType

import torch

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_declared: list[torch.library.Library] = []  # a library that is collected takes its operators with it


@functools.cache
def torchvision(submodule: str = "") -> ModuleType:
    """The module ``torchvision``, or one of its submodules: ``torchvision("datasets.mnist")``.

    A torchvision that imports is left alone. Only when its import reports the missing operators are they declared, and
    the import repeated.

    Raises:
        RuntimeError: torchvision cannot be imported for another reason.
    """
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        for module in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[module]  # half of it was imported before it stopped
        library = torch.library.Library("torchvision", "FRAGMENT")
        library.define(f"nms{_SCHEMA}")
        library.define(f"qnms{_SCHEMA}")
        _declared.append(library)
    return importlib.import_module(f"torchvision.{submodule}" if submodule else "torchvision")
