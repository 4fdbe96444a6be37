"""The covariance types of scikit-learn: their names in logpx, and the shapes of their arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from logpx.errors import UsageError
from logpx.latent import GaussianMixture
from logpx.suggestions import suggestion

__all__ = ["COVARIANCE_TYPES", "CovarianceType", "covariance_type_named"]

_Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class CovarianceType:
    """A covariance type.

    Parameters
    ----------
    covariance
        Its name in `logpx.latent.COVARIANCES`.
    shape
        Maps the numbers of components and features to the shape of the type's array.
    chosen
        Maps matrices of shape ``(blocks, D, D)`` to this array.
    diagonal
        Whether the matrices are diagonal.
    """

    covariance: str
    shape: Callable[[int, int], tuple[int, ...]]
    chosen: Callable[[_Numbers], _Numbers]
    diagonal: bool

    def covariances(self, model: GaussianMixture) -> _Numbers:
        """Return the covariances in the shape of the type."""
        return self.chosen(_matrices(model).numpy(force=True)).copy()

    def precision_factors(self, model: GaussianMixture) -> _Numbers:
        """Return upper triangular U with U Uᵀ the precision; for diagonal types, roots of the precisions."""
        factors = torch.linalg.cholesky(_matrices(model))
        identity = torch.eye(factors.shape[-1], dtype=factors.dtype, device=factors.device)
        inverses: Tensor = torch.linalg.solve_triangular(factors, identity.expand_as(factors), upper=False)
        return self.chosen(inverses.mT.numpy(force=True)).copy()

    def precisions(self, factors: _Numbers) -> _Numbers:
        """Return the precisions, given their factors."""
        product: _Numbers = np.square(factors) if self.diagonal else factors @ factors.swapaxes(-1, -2)
        return product

    def set_precisions(self, model: GaussianMixture, precisions: Any) -> None:
        """Set the precisions of the components; a variance below the floor is raised to it.

        Raises
        ------
        UsageError
            If the shape is wrong, or a matrix is not symmetric and positive definite.
        """
        components, features = model.means.shape
        shape = self.shape(components, features)
        given = np.asarray(precisions, dtype=np.float64)
        if given.shape != shape:
            raise UsageError(f"precisions_init of shape {given.shape}", fix=f"give the shape {shape}")
        blocks = model.covariance.blocks
        if self.diagonal:
            wrong = not bool((given > 0.0).all())
            # One number per block stands for each of its features.
            each = given if shape[-1:] == (features,) and len(shape) > int(blocks > 1) else given[..., None]
            averages: _Numbers = np.broadcast_to(1.0 / np.where(each > 0.0, each, 1.0), (blocks, features))
        else:
            given = given.reshape(blocks, features, features)
            wrong = not np.allclose(given, given.swapaxes(-1, -2)) or not bool(
                (np.linalg.eigvalsh(given) > 0.0).all()
            )
            averages = given if wrong else np.linalg.inv(given).astype(np.float64)
        if wrong:
            raise UsageError(
                "precisions_init is not symmetric and positive definite",
                fix="give the inverses of covariance matrices",
            )
        values = torch.tensor(averages, dtype=torch.float64, device=model.means.device)
        rows = torch.ones_like(values if self.diagonal else values[:, :1, 0])
        model.covariance.update(values, rows, model.parts.floors)


def _matrices(model: GaussianMixture) -> Tensor:
    return model.covariance.matrices().detach()


def _diagonals(matrices: _Numbers) -> _Numbers:
    return np.diagonal(matrices, axis1=-2, axis2=-1)


COVARIANCE_TYPES = MappingProxyType(
    {
        "full": CovarianceType("full", lambda k, d: (k, d, d), lambda m: m, False),
        "tied": CovarianceType("tied", lambda k, d: (d, d), lambda m: m[0], False),
        "diag": CovarianceType("diagonal", lambda k, d: (k, d), _diagonals, True),
        "spherical": CovarianceType("spherical", lambda k, d: (k,), lambda m: m[:, 0, 0], True),
        "tied_diag": CovarianceType("tied_diagonal", lambda k, d: (d,), lambda m: _diagonals(m)[0], True),
        "tied_spherical": CovarianceType("tied_spherical", lambda k, d: (), lambda m: m[0, 0, 0], True),
    }
)


def covariance_type_named(name: str) -> CovarianceType:
    """Return the covariance type of that name.

    Raises
    ------
    UsageError
        If there is no such type.

    Examples
    --------
    >>> covariance_type_named("diag").shape(3, 2)
    (3, 2)
    """
    if name not in COVARIANCE_TYPES:
        raise UsageError(
            f"there is no covariance_type {name!r}", fix=suggestion(str(name), list(COVARIANCE_TYPES))
        )
    return COVARIANCE_TYPES[name]
