"""Square roots of covariances, from which conditionals follow without any number being squared."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["factor_of", "leading", "triangular_root"]


def triangular_root(root: Tensor) -> Tensor:
    r"""Return the lower triangular L with :math:`L L^\top = F F^\top` and a diagonal of 0 or more.

    It is the Cholesky factor, by a QR decomposition of :math:`F^\top`: directions whose deviations are far
    below the largest are kept, whereas the product F Fᵀ loses them.

    Parameters
    ----------
    root
        F, shape ``(..., D, m)`` with m at least D.

    Returns
    -------
    Tensor
        Shape ``(..., D, D)``, differentiable.

    References
    ----------
    Golub and Van Loan 2013, Matrix Computations, section 5.2.

    Examples
    --------
    >>> triangular_root(torch.tensor([[1.0, 0.0], [1.0, -1e-6]]))
    tensor([[1.0000e+00, 0.0000e+00],
            [1.0000e+00, 1.0000e-06]])
    """
    # Without Q there is no derivative; with it, it takes several times as long.
    found = torch.linalg.qr(root.mT, mode="reduced" if torch.is_grad_enabled() else "r").R
    signs = torch.where(found.diagonal(dim1=-2, dim2=-1) < 0.0, -1.0, 1.0).to(found.dtype)
    # Adding 0 turns -0 into 0.
    factor: Tensor = (found * signs.unsqueeze(-1)).mT + 0.0
    return factor.tril()


def factor_of(averages: Tensor) -> Tensor:
    """Return a square root F of scatters S = F Fᵀ, shape ``(blocks, D, D)``, even if they are singular."""
    variances = averages.diagonal(dim1=-2, dim2=-1)
    units = torch.where(variances > 0.0, variances, 1.0).sqrt()
    values, vectors = torch.linalg.eigh(averages / units.unsqueeze(-1) / units.unsqueeze(-2))
    found: Tensor = units.unsqueeze(-1) * vectors * values.clamp_min(0.0).sqrt().unsqueeze(-2)
    return found


def leading(root: Tensor, rank: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the largest eigenvalues of RᵀR, ``(..., q)``, vectors ``(..., D, q)``, and the sum of the rest.

    They are the squares of singular values, so that small ones are exact; beyond the number of rows, 0.
    """
    triangle = torch.linalg.qr(root.mT, mode="r").R
    _, values, right = torch.linalg.svd(triangle)
    count = min(rank, values.shape[-1])
    vectors = root.mT @ right[..., :count, :].mT
    vectors = vectors / vectors.norm(dim=-2, keepdim=True).clamp_min(torch.finfo(vectors.dtype).tiny)
    squares, missing = values.square(), rank - count
    leading = functional.pad(squares[..., :count], (0, missing)), functional.pad(vectors, (0, missing))
    return *leading, squares[..., count:].sum(-1)
