"""The state dict as a safetensors file, checked before anything is allocated."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as _serialise
from torch import Tensor, nn

from logpx.errors import DivergedError, ModelFolderError
from logpx.storage.documents import DAMAGED

__all__ = ["WeightsFile", "non_finite", "weights_to_bytes"]

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


class WeightsFile:
    """A safetensors file of which only the header has been read.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    ModelFolderError
        If it is not a safetensors file, or holds a type that no model has.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with safe_open(path, framework="pt") as file:
                slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
                shapes = {name: tuple(part.get_shape()) for name, part in slices.items()}
                types = {name: part.get_dtype() for name, part in slices.items()}
        except (SafetensorError, OSError) as error:
            raise ModelFolderError(f"not a safetensors file: {error}", file=path, fix=DAMAGED) from error
        unknown = sorted(set(types.values()) - set(_DTYPES))
        if unknown:
            raise ModelFolderError(f"weights of the unknown type {unknown[0]}", file=path, fix=DAMAGED)
        self._shapes = shapes
        self._dtypes = {name: _DTYPES[kind] for name, kind in types.items()}

    @property
    def tensors(self) -> int:
        """How many tensors the file holds."""
        return len(self._shapes)

    @property
    def elements(self) -> int:
        """How many numbers the file holds."""
        return sum(torch.Size(shape).numel() for shape in self._shapes.values())

    def check(self, skeleton: nn.Module) -> None:
        """Raise unless the file holds exactly the tensors of a model, by name, shape and kind of number.

        The precision may differ from the model's; that of the file counts.

        Raises
        ------
        ModelFolderError
            Naming the first tensor that is missing, unknown or different.
        """
        expected = skeleton.state_dict()
        for name in [*expected, *self._shapes]:
            problem = self._problem(name, expected.get(name))
            if problem is not None:
                raise ModelFolderError(
                    problem, file=self._path, fix="load the folder with the version of logpx that wrote it"
                )

    def _problem(self, name: str, expected: Tensor | None) -> str | None:
        if expected is None:
            return f"the weight {name!r} does not belong to the model that config.json describes"
        if name not in self._shapes:
            return f"the weight {name!r} is missing"
        shape, dtype = self._shapes[name], self._dtypes[name]
        if shape != tuple(expected.shape):
            return f"the weight {name!r} has shape {shape}, but the model has {tuple(expected.shape)}"
        if dtype != expected.dtype and not (dtype.is_floating_point and expected.is_floating_point()):
            return f"the weight {name!r} holds {dtype}, but the model has {expected.dtype}"
        return None

    def fill(self, skeleton: nn.Module) -> None:
        """Give a model without memory the weights of the file.

        Raises
        ------
        ModelFolderError
            If a weight is not finite.
        """
        with safe_open(self._path, framework="pt") as file:
            # A copy: the tensors of an open file would follow later changes to it.
            tensors = {name: file.get_tensor(name).clone() for name in self._shapes}
        skeleton.load_state_dict(tensors, assign=True)
        name = non_finite(skeleton)
        if name is not None:
            raise ModelFolderError(f"the weight {name!r} is not finite", file=self._path, fix=DAMAGED)
