"""The state dict as a safetensors file, checked before anything is allocated."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from safetensors.torch import save as _serialise
from torch import Tensor, nn

from logpx.distributions import Mixture, Product, TargetLast
from logpx.errors import DivergedError, ModelFolderError
from logpx.files.documents import DAMAGED, parse_object
from logpx.images import ImageModel
from logpx.tables.density import CellDensity, TableDensity
from logpx.tables.model import TableModel
from logpx.tables.reference import TableReference
from logpx.tables.unusualness import Unusualness

__all__ = ["WeightsFile", "non_finite", "weights_to_bytes"]

_LENGTH_BYTES = 8
_LARGEST_HEADER = 100_000_000
_METADATA = "__metadata__"
# Each of their parts may have a precision of its own.
_OF_PARTS = (
    CellDensity,
    ImageModel,
    Mixture,
    Product,
    TableDensity,
    TableModel,
    TableReference,
    TargetLast,
    Unusualness,
)

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


@runtime_checkable
class _HasRange(Protocol):
    """A part of which some values would fail or be wrong at the first use."""

    def out_of_range(self) -> str | None:
        """Return the name of a weight that cannot be what it is for, or None."""


def weights_to_bytes(model: nn.Module) -> bytes:
    """Return the state dict of a model as a safetensors file.

    Raises
    ------
    DivergedError
        If a weight is not finite.
    """
    name = non_finite(model)
    if name is not None:
        raise DivergedError(f"the weight {name!r} is not finite", fix="fit the model again before saving it")
    # Each tensor on its own: the format has neither views nor shared storage.
    tensors = {
        name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.state_dict().items()
    }
    return _serialise(tensors, metadata={"format": "pt"})


def non_finite(model: nn.Module) -> str | None:
    """Return the name of a weight that is not finite, or None.

    Infinity is refused only in trained weights: in a buffer it may mean "no limit".
    """
    trained = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            bad = ~torch.isfinite(tensor) if name in trained else torch.isnan(tensor)
            if bad.any():
                return name
    return None


@dataclass(frozen=True)
class _Entry:
    dtype: torch.dtype
    shape: tuple[int, ...]
    begin: int
    end: int


class WeightsFile:
    """A safetensors file of which only the header has been read.

    The tensors are read later from the same stream, once, and hashed as they are read.

    Parameters
    ----------
    stream
        The file, at its beginning.
    path
        What errors call it.

    Raises
    ------
    ModelFolderError
        If it is not a safetensors file, or holds a type that no model has.

    References
    ----------
    https://github.com/huggingface/safetensors, Format.
    """

    def __init__(self, stream: BufferedReader, path: Path) -> None:
        self._stream, self._path = stream, path
        size = stream.seek(0, 2)
        stream.seek(0)
        length = stream.read(_LENGTH_BYTES)
        count = int.from_bytes(length, "little")
        if len(length) < _LENGTH_BYTES or count > min(_LARGEST_HEADER, size - _LENGTH_BYTES):
            raise self._refusal("it is shorter than its header")
        header = stream.read(count)
        self._header = length + header
        entries = {
            name: self._entry(name, entry)
            for name, entry in parse_object(header, path).items()
            if name != _METADATA
        }
        # In the order of their data, without gaps.
        self._entries = dict(sorted(entries.items(), key=lambda item: (item[1].begin, item[1].end)))
        end = 0
        for name, entry in self._entries.items():
            if entry.begin != end:
                raise self._refusal(f"the data of {name!r} do not follow those before")
            end = entry.end
        if end != size - len(self._header):
            raise self._refusal("its data are longer or shorter than the header says")

    def _refusal(self, problem: str) -> ModelFolderError:
        return ModelFolderError(f"not a safetensors file: {problem}", file=self._path, fix=DAMAGED)

    def _entry(self, name: str, entry: Any) -> _Entry:
        fields = entry if isinstance(entry, dict) else {}
        kind, shape, offsets = (fields.get(key, ()) for key in ("dtype", "shape", "data_offsets"))
        if not isinstance(kind, str) or not _are_sizes(shape) or not _are_sizes(offsets) or len(offsets) != 2:
            raise self._refusal(f"the header says nothing sensible about {name!r}")
        if kind not in _DTYPES:
            raise ModelFolderError(f"weights of the unknown type {kind}", file=self._path, fix=DAMAGED)
        begin, end = offsets
        if end - begin != math.prod(shape) * _DTYPES[kind].itemsize:
            raise self._refusal(f"the size of {name!r} does not go with its shape")
        return _Entry(_DTYPES[kind], tuple(shape), begin, end)

    @property
    def tensors(self) -> int:
        """How many tensors the file holds."""
        return len(self._entries)

    @property
    def elements(self) -> int:
        """How many numbers the file holds."""
        return sum(math.prod(entry.shape) for entry in self._entries.values())

    def check(self, skeleton: nn.Module) -> None:
        """Raise unless the file holds exactly the tensors of a model, by name, shape and kind of number.

        The precision may differ from the model's; that of the file counts.

        Raises
        ------
        ModelFolderError
            Naming the first tensor that is missing, unknown or different.
        """
        expected = skeleton.state_dict()
        for name in [*expected, *self._entries]:
            problem = self._problem(name, expected.get(name))
            if problem is not None:
                raise ModelFolderError(
                    problem, file=self._path, fix="load the folder with the version of logpx that wrote it"
                )
        for part in _of_one_precision(skeleton, ""):
            usual = [name for name in part if expected[name].dtype == torch.get_default_dtype()]
            other = [name for name in usual if self._entries[name].dtype != self._entries[usual[0]].dtype]
            if other:
                raise ModelFolderError(
                    f"the weight {other[0]!r} has another precision than {usual[0]!r}",
                    file=self._path,
                    fix=DAMAGED,
                )

    def _problem(self, name: str, expected: Tensor | None) -> str | None:
        if expected is None:
            return f"the weight {name!r} does not belong to the model that config.json describes"
        if name not in self._entries:
            return f"the weight {name!r} is missing"
        shape, dtype = self._entries[name].shape, self._entries[name].dtype
        if shape != tuple(expected.shape):
            return f"the weight {name!r} has shape {shape}, but the model has {tuple(expected.shape)}"
        if dtype != expected.dtype and not (dtype.is_floating_point and expected.is_floating_point()):
            return f"the weight {name!r} holds {dtype}, but the model has {expected.dtype}"
        return None

    def fill(self, skeleton: nn.Module) -> tuple[int, str]:
        """Give a model without memory the weights of the file; return size and SHA-256 of what was read."""
        digest = hashlib.sha256(self._header)
        size = len(self._header)
        tensors = {}
        for name, entry in self._entries.items():
            storage = torch.empty(entry.end - entry.begin, dtype=torch.uint8)
            view = storage.numpy().data
            size += _read_into(self._stream, view)
            digest.update(view)
            if entry.dtype == torch.bool and bool((storage > 1).any()):
                raise ModelFolderError(
                    f"the weight {name!r} is neither true nor false", file=self._path, fix=DAMAGED
                )
            tensors[name] = storage.view(entry.dtype).reshape(entry.shape)
        skeleton.load_state_dict(tensors, assign=True)
        return size, digest.hexdigest()

    def check_values(self, model: nn.Module) -> None:
        """Raise unless the weights that were read are finite, and orders are orders.

        Raises
        ------
        ModelFolderError
            Naming the first weight that is not.
        """
        name = non_finite(model)
        if name is not None:
            raise ModelFolderError(f"the weight {name!r} is not finite", file=self._path, fix=DAMAGED)
        name = _out_of_range(model)
        if name is not None:
            message = f"the weight {name!r} holds whole numbers that are out of range"
            raise ModelFolderError(message, file=self._path, fix=DAMAGED)
        for place, part in model.named_modules():
            own = part.out_of_range() if isinstance(part, _HasRange) else None
            if own is not None:
                name = f"{place}.{own}" if place else own
                raise ModelFolderError(f"the weight {name!r} is out of range", file=self._path, fix=DAMAGED)


def _of_one_precision(part: nn.Module, prefix: str) -> Iterator[list[str]]:
    """Yield the names of tensors that multiply each other, part by part."""
    if any(isinstance(one, _OF_PARTS) for one in part.modules()):
        for name, child in part.named_children():
            yield from _of_one_precision(child, f"{prefix}{name}.")
    else:
        yield [f"{prefix}{name}" for name in part.state_dict()]


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(one) is int and one >= 0 for one in value)


def _read_into(stream: BufferedReader, view: memoryview) -> int:
    done = 0
    while done < len(view):
        piece = stream.readinto(view[done:])
        if not piece:
            break  # The hash will tell.
        done += piece
    return done


def _out_of_range(model: nn.Module) -> str | None:
    """Return the name of a buffer of whole numbers that cannot be what it is for, or None.

    A vector of whole numbers is an order, a matrix one in each row, and ``inverse_order`` undoes the
    ``order`` beside it; a single whole number counts something. Where one is out of range, the first use
    would fail or be wrong.
    """
    buffers = dict(model.named_buffers())
    for name, tensor in buffers.items():
        if tensor.dtype != torch.int64:
            continue
        if tensor.dim() == 0:
            if int(tensor) < 0:
                return name
        elif not _are_orders(tensor):
            return name
        order = buffers.get(name.removesuffix("inverse_order") + "order")
        if name.endswith("inverse_order") and not (order is None or _undoes(tensor, order)):
            return name
    return None


def _are_orders(tensor: Tensor) -> bool:
    return torch.equal(tensor.sort(-1).values, torch.arange(tensor.shape[-1]).expand_as(tensor))


def _undoes(inverse: Tensor, order: Tensor) -> bool:
    return torch.equal(order[inverse], torch.arange(len(inverse)))
