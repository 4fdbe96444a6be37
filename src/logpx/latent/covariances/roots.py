"""Square roots of covariances, from which conditionals follow without any number being squared."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["triangular_root"]


def triangular_root(root: Tensor) -> Tensor:
    r"""Return the lower triangular L with :math:`L L^\top = F F^\top` and no negative number on its diagonal.

    It is the Cholesky factor, by a QR decomposition of :math:`F^\top`: deviations far below the square root of
    the precision, relative to the largest, are kept, whereas the product F Fᵀ loses them.

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
