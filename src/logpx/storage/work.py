"""A limit on what building a model may cost, so that a forged description ends in an error at once."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

from logpx.errors import ModelFolderError

__all__ = ["Work", "allowed_work"]

# Models of the registry need at most six operations for each of their tensors, and two for each number.
_OPERATIONS, _OPERATIONS_PER_TENSOR = 2_000, 30
_NUMBERS, _NUMBERS_PER_NUMBER = 2_000_000, 20


class Work(TorchFunctionMode):
    """Counts the operations of torch in a context, and the numbers that they return.

    Parameters
    ----------
    operations, numbers
        The most of each.

    Raises
    ------
    ModelFolderError
        Out of the context, once there are more.
    """

    def __init__(self, operations: int, numbers: int) -> None:
        super().__init__()
        self.operations, self.numbers = operations, numbers

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.operations -= 1
        parts = result if isinstance(result, (tuple, list)) else (result,)
        self.numbers -= sum(part.numel() for part in parts if isinstance(part, Tensor))
        if self.operations < 0 or self.numbers < 0:
            raise ModelFolderError("the configuration describes a model too large for its weights")
        return result


def allowed_work(tensors: int, elements: int) -> Work:
    """Return the work that building a model may take.

    Parameters
    ----------
    tensors, elements
        The number of tensors, and of numbers in them, in the weights file.
    """
    return Work(_OPERATIONS + _OPERATIONS_PER_TENSOR * tensors, _NUMBERS + _NUMBERS_PER_NUMBER * elements)
