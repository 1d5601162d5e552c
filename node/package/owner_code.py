"""Importing an owner's own model on the owner's own machine. Providers never run this."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from torch import nn

from node.errors import BadExport, shown


def load_module(name: str, folder: Path) -> nn.Module:
    """Call `module:function`, found from `folder`, for a torch module.

    Raises: BadExport saying what is missing.
    """
    module_name, _, function_name = name.partition(":")
    if not module_name or not function_name or module_name.endswith(".py"):
        raise BadExport(f"{shown(name)!r} must be module:function, such as my_model:build")
    sys.path.insert(0, str(folder))
    try:
        function = getattr(importlib.import_module(module_name), function_name)
        built = function()
    except Exception as error:
        raise BadExport(f"{shown(name)} can't be built ({type(error).__name__}: {shown(error)})") from error
    finally:
        sys.path.remove(str(folder))
    if not isinstance(built, nn.Module):
        raise BadExport(f"{shown(name)} returned a {type(built).__name__}, not a torch.nn.Module")
    return built
