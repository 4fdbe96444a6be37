"""Messages between processes: JSON values and tensors as bytes. Nothing that arrives is executed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["Message", "pack", "unpack"]

Message = tuple[Any, list[Tensor]]

_DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16,
        torch.int8, torch.uint8, torch.bool, torch.complex64, torch.complex128,
    )
}  # fmt: skip
_LENGTH = 8


def pack(values: Any, tensors: Sequence[Tensor] = ()) -> Tensor:
    """Return a message as bytes.

    Parameters
    ----------
    values
        JSON values; numbers may be infinite.
    tensors
        On any device.

    Examples
    --------
    >>> values, tensors = unpack(pack({"a": 0.1}, [torch.arange(3.0)]))
    >>> values, tensors
    ({'a': 0.1}, [tensor([0., 1., 2.])])
    """
    own = [tensor.detach().cpu().contiguous() for tensor in tensors]
    shapes = [[str(tensor.dtype).removeprefix("torch."), list(tensor.shape)] for tensor in own]
    head = json.dumps([values, shapes]).encode()
    parts = [torch.frombuffer(bytearray(len(head).to_bytes(_LENGTH, "big") + head), dtype=torch.uint8)]
    parts += [tensor.flatten().view(torch.uint8) for tensor in own if tensor.numel()]
    return torch.cat(parts)


def unpack(content: Tensor) -> Message:
    """Return the values and the tensors of a message, each tensor in memory of its own."""
    length = int.from_bytes(content[:_LENGTH].numpy().tobytes(), "big")
    place = _LENGTH + length
    values, shapes = json.loads(content[_LENGTH:place].numpy().tobytes())
    tensors = []
    for name, shape in shapes:
        tensor = torch.empty(shape, dtype=_DTYPES[name])
        size = tensor.numel() * tensor.element_size()
        if size:
            # Copied, for kernels may round otherwise where memory is aligned otherwise.
            tensor.view(-1).view(torch.uint8).copy_(content[place : place + size])
        place += size
        tensors.append(tensor)
    return values, tensors
