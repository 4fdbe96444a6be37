"""Rotations of loadings towards a simple structure."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from logpx.errors import UsageError
from logpx.representations import Shown

__all__ = ["Rotation", "promax", "quartimax", "varimax"]


@dataclass(frozen=True, repr=False)
class Rotation(Shown):
    """Rotated loadings.

    Parameters
    ----------
    loadings
        Shape ``(D, q)``: the loadings times `matrix`.
    matrix
        Shape ``(q, q)``.
    correlations
        Of the rotated factors, shape ``(q, q)``; the identity if the rotation is orthogonal. The product
        ``loadings @ correlations @ loadings.mT`` is the same as before the rotation.
    """

    loadings: Tensor
    matrix: Tensor
    correlations: Tensor


def varimax(loadings: Tensor, normalise: bool = True, iterations: int = 1000) -> Rotation:
    r"""Rotate loadings so that the variances of their squares, summed over the factors, are largest.

    Parameters
    ----------
    loadings
        Shape ``(D, q)``.
    normalise
        Give all features the same weight, whatever their communality (Kaiser 1958).
    iterations
        The maximum number of iterations.

    Raises
    ------
    UsageError
        If the loadings are not a matrix.

    References
    ----------
    Kaiser 1958, The varimax criterion for analytic rotation in factor analysis.

    Examples
    --------
    >>> mixed = torch.tensor([[0.9, 0.6], [0.8, 0.5], [0.6, -0.9], [0.5, -0.8]])
    >>> (varimax(mixed).loadings.abs() < 0.2).sum(1)
    tensor([1, 1, 1, 1])
    """
    return _orthogonal(loadings, normalise, iterations, 1.0)


def quartimax(loadings: Tensor, normalise: bool = False, iterations: int = 1000) -> Rotation:
    r"""Rotate loadings so that the sum of their fourth powers is largest: each feature loads on few factors.

    Parameters
    ----------
    loadings
        Shape ``(D, q)``.
    normalise, iterations
        As in `varimax`.

    Raises
    ------
    UsageError
        If the loadings are not a matrix.

    References
    ----------
    Neuhaus and Wrigley 1954, The quartimax method: an analytic approach to orthogonal simple structure.

    Examples
    --------
    >>> mixed = torch.tensor([[0.9, 0.6], [0.8, 0.5], [0.6, -0.9], [0.5, -0.8]])
    >>> (quartimax(mixed).loadings.abs() < 0.2).sum(1)
    tensor([1, 1, 1, 1])
    """
    return _orthogonal(loadings, normalise, iterations, 0.0)


def _orthogonal(loadings: Tensor, normalise: bool, iterations: int, gamma: float) -> Rotation:
    """Raise the orthomax criterion: fourth powers, less gamma times the squared mean square of a factor."""
    if loadings.dim() != 2:
        raise UsageError(
            f"loadings of shape {tuple(loadings.shape)}", fix="give a matrix, features × factors"
        )
    given = loadings.detach().double()
    scale = given.norm(dim=1, keepdim=True).clamp_min(1e-300) if normalise else torch.ones_like(given[:, :1])
    rows = given / scale
    rotation = torch.eye(given.shape[1], dtype=given.dtype, device=given.device)
    criterion = -1.0
    for _ in range(iterations if given.shape[1] > 1 else 0):
        rotated = rows @ rotation
        gradient = rows.mT @ (rotated**3 - gamma * rotated * rotated.square().mean(0))
        left, values, right = torch.linalg.svd(gradient)
        rotation = left @ right
        if float(values.sum()) < criterion * (1.0 + 1e-12):
            break
        criterion = float(values.sum())
    identity = torch.eye(given.shape[1], dtype=loadings.dtype, device=given.device)
    return Rotation((given @ rotation).to(loadings.dtype), rotation.to(loadings.dtype), identity)


def promax(loadings: Tensor, power: float = 4.0, normalise: bool = True) -> Rotation:
    r"""Rotate loadings obliquely, towards a power of their varimax rotation; factors may then correlate.

    Parameters
    ----------
    loadings
        Shape ``(D, q)``.
    power
        The power that makes small loadings smaller; above 1.
    normalise
        As in `varimax`.

    Raises
    ------
    UsageError
        If the loadings are not a matrix, or the power is not above 1.

    References
    ----------
    Hendrickson and White 1964, Promax: a quick method for rotation to oblique simple structure.

    Examples
    --------
    >>> loadings = torch.tensor([[0.9, 0.3], [0.8, 0.2], [0.3, 0.9], [0.2, 0.8]])
    >>> result = promax(loadings)
    >>> bool(result.correlations[0, 1] > 0.2)
    True
    """
    if not power > 1.0:
        raise UsageError(f"power is {power}", fix="give a power above 1, such as 4")
    first = varimax(loadings, normalise)
    rotated = first.loadings.double()
    target = rotated * rotated.abs() ** (power - 1.0)
    matrix = torch.linalg.lstsq(rotated, target).solution
    # Factors keep variance 1.
    matrix = matrix * torch.linalg.inv(matrix.mT @ matrix).diagonal().sqrt()
    inverse = torch.linalg.inv(matrix)
    both = first.matrix.double() @ matrix
    dtype = loadings.dtype
    return Rotation(
        (loadings.detach().double() @ both).to(dtype), both.to(dtype), (inverse @ inverse.mT).to(dtype)
    )
