"""From a model to its description, and back to a model that takes no memory."""

from __future__ import annotations

import math
import warnings
from contextlib import nullcontext
from typing import Any

import torch
from torch import nn

from logpx.configuration import build, describe
from logpx.errors import LogpxError, ModelFolderError, UsageError
from logpx.storage.argument_types import typed
from logpx.storage.registry import REGISTRY
from logpx.storage.work import Work

__all__ = ["build_model", "build_skeleton", "check_sizes", "describe_model"]

_UNSAVED = "build the model from logpx classes and plain values, or keep it in your own code"

# Constructors that compare arguments with their types first.
_TYPED = {name: typed(kind) for name, kind in REGISTRY.items()}

# Sizes up to this are allowed even if no weight has that size.
_SMALL = 10_000
_DEEPEST = 64
# Without weights, nothing else bounds it; in single precision, half a gigabyte.
_LARGEST_EVENT = 2**27
_MOST_VALUES = 10_000_000

# Integers that are not sizes: they cost nothing, however large.
_FREE = {"seed"}


def describe_model(model: nn.Module) -> dict[str, Any]:
    """Return a description from which the model can be built again.

    Raises
    ------
    UsageError
        If a part of the model is not a logpx class, or the description does not give the same tensors.
    """
    description = describe(model)
    if not isinstance(description, dict):
        raise UsageError(f"a {type(model).__name__} is not a model that can be saved", fix=_UNSAVED)
    try:
        skeleton = build_skeleton(description)
    except LogpxError as error:
        raise UsageError(f"the model cannot be saved: {error.message}", fix=_UNSAVED) from error
    parts, rebuilt_parts = (one.named_modules(remove_duplicate=False) for one in (model, skeleton))
    for (name, part), (_, rebuilt) in zip(parts, rebuilt_parts, strict=False):
        if type(part) is not type(rebuilt):
            message = f"the part {name!r} is a {type(part).__name__}, which cannot be saved"
            raise UsageError(message, fix=_UNSAVED)
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    if shapes != {name: tensor.shape for name, tensor in skeleton.state_dict().items()}:
        message = "the model has other weights than its constructor's arguments give"
        raise UsageError(message, fix="build the model again with the arguments it should have")
    return description


def build_model(description: Any) -> nn.Module:
    """Build a model that `describe_model` described, with parameters as its constructor sets them.

    Raises
    ------
    ModelFolderError
        If the description names a class outside the registry, or cannot be built.
    """
    model = build(description, _TYPED)
    if not isinstance(model, nn.Module):
        raise ModelFolderError("the configuration does not describe a model")
    return model


def build_skeleton(description: Any, work: Work | None = None) -> nn.Module:
    """Build a model on the meta device: shapes and types, but no memory and no random numbers.

    Parameters
    ----------
    description
        The description of the model.
    work
        How much may be done; None for a description that comes from a model that exists.

    Raises
    ------
    ModelFolderError
        If the description names a class outside the registry, or cannot be built.
    """
    try:
        with torch.device("meta"), warnings.catch_warnings(), nullcontext() if work is None else work:
            # Warnings of constructors were shown when the model was first built.
            warnings.simplefilter("ignore")
            model = build(description, _TYPED)
    except ModelFolderError:
        raise
    except Exception as error:  # a description from outside can make a constructor fail in any way
        raise ModelFolderError(f"the model cannot be built: {error}") from error
    if not isinstance(model, nn.Module):
        raise ModelFolderError("the configuration does not describe a model")
    shape = getattr(model, "event_shape", ())
    if work is not None and math.prod(shape) > _LARGEST_EVENT:
        raise ModelFolderError(
            f"the configuration describes events of shape {tuple(shape)}, which is too large"
        )
    return model


def check_sizes(description: Any, tensors: int, elements: int) -> None:
    """Raise if a description asks for more than its weights file can fill, before anything is built.

    Parameters
    ----------
    description
        The description of the model.
    tensors, elements
        The number of tensors, and of numbers in them, in the weights file.

    Raises
    ------
    ModelFolderError
        Naming the entry that is too large.
    """
    pending: list[tuple[str, Any, int]] = [("model", description, 0)]
    values = 0
    while pending:
        name, value, depth = pending.pop()
        values += 1
        if depth > _DEEPEST or values > _MOST_VALUES:
            raise ModelFolderError(f"the entry {name!r} is nested too deeply or too long")
        if isinstance(value, dict):
            pending.extend((key, item, depth + 1) for key, item in value.items())
        elif isinstance(value, list):
            pending.extend((name, item, depth + 1) for item in value)
        elif isinstance(value, int) and name not in _FREE:
            largest = max(_DEEPEST, tensors) if name == "layers" else max(_SMALL, elements)
            if abs(value) > largest:
                message = f"the entry {name!r} is {value}, too large for weights of {elements} numbers"
                raise ModelFolderError(message)
