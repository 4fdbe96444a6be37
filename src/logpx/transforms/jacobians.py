"""Jacobians and gradients of a map by automatic differentiation and by finite differences."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from logpx.transforms.base import Transform

__all__ = [
    "DIRECTIONS",
    "Failure",
    "Inputs",
    "check_gradients",
    "check_ladj",
    "check_pattern",
    "number",
    "place",
    "worst",
]

DIRECTIONS = ("forward", "inverse")
# In nats, relative to 1 + |ladj|, and of directional derivatives, relative to their size.
_LADJ, _GRADIENT = 1e-6, 1e-4
_STEP = 1e-6
# A Jacobian of more elements is not formed.
_MOST_ELEMENTS = 2048
_ROWS = 8
_MOST_NUMBERS = 2**22


class Failure(Exception):
    """A check that does not hold, and by how much."""


@dataclass(frozen=True)
class Inputs:
    """A map, and rows with their contexts to look at it."""

    transform: Transform
    x: Tensor
    context: Tensor | None

    def call(self, direction: str, u: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return value and ladj of a direction."""
        value, ladj = getattr(self.transform, direction)(u, context)
        return value, ladj

    def inputs(self, direction: str) -> Tensor:
        """Return rows of data, or their noise."""
        if direction == "forward":
            return self.x
        with torch.no_grad():
            return self.call("forward", self.x, self.context)[0].detach()


def worst(errors: Tensor) -> tuple[float, int]:
    """Return the largest error, and its place among all; a number that is not one is the largest."""
    flat = errors.detach().flatten().nan_to_num(nan=math.inf)
    where = int(flat.argmax())
    return float(flat[where]), where


def number(value: Tensor | float) -> str:
    """Return a number as reports show it."""
    return f"{float(value):.4g}"


def place(u: Tensor, where: int, direction: str) -> str:
    """Return the row and the element of a place among all elements, and the value there."""
    size = u[0].numel()
    name = "x" if direction == "forward" else "z"
    element = torch.unravel_index(torch.tensor(where % size), u.shape[1:] or (1,))
    return f"row {where // size}, {name}{[int(each) for each in element]} = {number(u.flatten()[where])}"


def _row(u: Tensor, row: int, direction: str) -> str:
    values = u[row].flatten()[:6].tolist()
    shown = ", ".join(f"{value:.3g}" for value in values) + (", ..." if u[row].numel() > 6 else "")
    return f"row {row}, {'x' if direction == 'forward' else 'z'} = ({shown})"


def jacobian(given: Inputs, direction: str, rows: int = _ROWS) -> tuple[Tensor, Tensor, Tensor]:
    """Return inputs, their ladj, and the Jacobian by automatic differentiation, shape ``(rows, D, D)``."""
    u = given.inputs(direction)[:rows].clone().requires_grad_()
    context = None if given.context is None else given.context[:rows]
    value, ladj = given.call(direction, u, context)
    flat = value.reshape(len(u), -1)
    if not flat.requires_grad:
        raise Failure(f"{direction} has no gradient with respect to its input")
    columns = [
        torch.autograd.grad(flat[:, index].sum(), u, retain_graph=True, materialize_grads=True)[0]
        for index in range(flat.shape[1])
    ]
    return u.detach(), ladj.detach(), torch.stack(columns, 1).reshape(len(u), flat.shape[1], -1)


def _too_large(given: Inputs) -> bool:
    return math.prod(given.transform.event_shape) > _MOST_ELEMENTS


def check_ladj(given: Inputs, direction: str) -> tuple[str, str]:
    """Compare the ladj of a direction with the logarithm of the determinant of its Jacobian."""
    if _too_large(given):
        return "skipped", f"no Jacobian of more than {_MOST_ELEMENTS} elements is formed"
    # All rows, unless their Jacobians are large.
    size = math.prod(given.transform.event_shape)
    u, ladj, matrix = jacobian(given, direction, max(_ROWS, _MOST_NUMBERS // size**2))
    expected = torch.linalg.slogdet(matrix).logabsdet
    error = (ladj - expected).abs()
    row = worst(error)[1]
    if not worst(error / (1.0 + expected.abs()))[0] <= _LADJ:
        raise Failure(
            f"off by {number(error[row])} nats at {_row(u, row, direction)}: {number(ladj[row])} returned, "
            f"where the Jacobian has {number(expected[row])}{_hint(ladj, expected)}"
        )
    return "ok", f"within {float(error.max()):.1e} nats of automatic differentiation in {len(u)} rows"


def _hint(ladj: Tensor, expected: Tensor) -> str:
    """Return what kind of mistake this looks like."""
    close = 1e-6 * (1.0 + expected.abs())
    if bool(((ladj + expected).abs() <= close).all()):
        return "; the sign is that of the other direction"
    if not bool(ladj.any()):
        return "; it is always 0"
    offset = (ladj - expected)[0]
    if bool(((ladj - expected - offset).abs() <= close).all()):
        return "; it is off by the same amount in all rows"
    ratio = (ladj / expected)[0]
    if bool(((ladj - ratio * expected).abs() <= close).all()):
        return f"; it is {float(ratio):.4g} times what it should be in all rows"
    return ""


def check_gradients(given: Inputs, direction: str) -> tuple[str, str]:
    """Compare gradients of value and ladj with finite differences, in random directions."""
    generator = torch.Generator().manual_seed(1)
    u = given.inputs(direction).clone().requires_grad_()
    context = None if given.context is None else given.context.clone().requires_grad_()
    parameters = [p for p in given.transform.parameters() if p.requires_grad]
    sources: dict[str, list[Tensor]] = {
        "inputs": [u],
        "the context": [] if context is None else [context],
        "parameters": [*parameters],
    }
    value, ladj = given.call(direction, u, context)
    weights = [torch.randn(each.shape, generator=generator, dtype=torch.float64) for each in (value, ladj)]

    def summed() -> tuple[Tensor, Tensor]:
        pair = given.call(direction, u, context)
        return (pair[0] * weights[0]).sum(), (pair[1] * weights[1]).sum()

    largest = 0.0
    for name, tensors in sources.items():
        if not tensors:
            continue
        ways = [torch.randn(t.shape, generator=generator, dtype=torch.float64) for t in tensors]
        low, high = _moved(summed, tensors, ways, -_STEP), _moved(summed, tensors, ways, _STEP)
        for what, output, below, above in zip(("the value", "the ladj"), summed(), low, high, strict=True):
            found = _slope(output, tensors, ways)
            expected = (above - below) / (2.0 * _STEP)
            # Rounding of the sums limits finite differences.
            rounding = 1e-9 * (1.0 + abs(above)) / _STEP * 1e-3
            error = abs(found - expected) / (1.0 + abs(expected))
            if not error <= _GRADIENT + rounding:
                raise Failure(
                    f"the gradient of {what} with respect to {name} is {found:.6g} in a random direction, "
                    f"where finite differences have {expected:.6g}"
                    + ("; it does not reach them" if found == 0.0 else "")
                )
            largest = max(largest, error)
    return "ok", f"within {largest:.1e} of finite differences"


def _slope(output: Tensor, tensors: list[Tensor], ways: list[Tensor]) -> float:
    if not output.requires_grad:
        return 0.0
    gradients = torch.autograd.grad(
        output, tensors, retain_graph=True, materialize_grads=True, allow_unused=True
    )
    return float(sum((way * gradient).sum() for way, gradient in zip(ways, gradients, strict=True)))


@torch.no_grad()
def _moved(
    summed: Callable[[], tuple[Tensor, Tensor]], tensors: list[Tensor], ways: list[Tensor], step: float
) -> list[float]:
    kept = [tensor.clone() for tensor in tensors]
    try:
        for tensor, way in zip(tensors, ways, strict=True):
            tensor.add_(step * way)
        return [float(each) for each in summed()]
    finally:
        for tensor, before in zip(tensors, kept, strict=True):
            tensor.copy_(before)


def check_pattern(given: Inputs) -> tuple[str, str]:
    """Say which outputs depend on which inputs, and whether the two directions have inverse Jacobians."""
    if _too_large(given):
        return "skipped", f"no Jacobian of more than {_MOST_ELEMENTS} elements is formed"
    _, _, matrix = jacobian(given, "forward")
    _, _, inverse = jacobian(given, "inverse")
    identity = torch.eye(matrix.shape[-1], dtype=matrix.dtype)
    error, where = worst(matrix @ inverse - identity)
    scale = float(matrix.abs().max() * inverse.abs().max())
    if not error <= 1e-6 * (1.0 + scale):
        raise Failure(
            f"the Jacobians of the two directions are not inverse to each other: their product misses the "
            f"identity by {error:.3g} at row {where // identity.numel()}"
        )
    present = (matrix.abs() > 1e-12).any(0)
    if not bool(present.any(0).all()):
        unused = (~present.any(0)).nonzero().flatten().tolist()
        raise Failure(f"no output depends on the inputs {unused}")
    return "ok", _shape_of(present) + _context_of(given)


def _shape_of(present: Tensor) -> str:
    share = f"{int(present.sum())} of {present.numel()} entries are not 0"
    if not bool((present & ~torch.eye(len(present), dtype=torch.bool)).any()):
        return "diagonal"
    if not bool(present.triu(1).any()):
        return f"lower triangular, {share}"
    if not bool(present.tril(-1).any()):
        return f"upper triangular, {share}"
    return share


def _context_of(given: Inputs) -> str:
    if given.context is None:
        return ""
    context = given.context[:_ROWS].clone().requires_grad_()
    value, _ = given.call("forward", given.x[:_ROWS], context)
    flat = value.reshape(len(context), -1)
    reached = [
        flat.requires_grad
        and bool(torch.autograd.grad(each.sum(), context, retain_graph=True, materialize_grads=True)[0].any())
        for each in flat.unbind(1)
    ]
    if not any(reached):
        raise Failure("the context reaches no output")
    return f"; the context reaches {sum(reached)} of {len(reached)} outputs"
