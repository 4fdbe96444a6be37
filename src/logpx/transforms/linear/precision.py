"""Linear maps keep the precision of their inputs, also where networks run in less."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

__all__ = ["full_precision"]


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """Return a context in which matrix products are of the dtype of their factors, autocast or not.

    What autocast rounds in a conditioner changes which map a layer is. Rounding the mapped data itself would
    make the map and its inverse disagree.

    Examples
    --------
    >>> x = torch.eye(2)
    >>> with torch.autocast("cpu", torch.bfloat16):
    ...     with full_precision(x):
    ...         (x @ x).dtype
    torch.float32
    """
    # Tensors without numbers know no autocast.
    return nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False)
