"""Probabilistic PCA: loadings and noise of one variance."""

from __future__ import annotations

import torch
from torch import Tensor

from logpx.latent.covariances.low_rank import LowRankCovariance, canonical
from logpx.latent.covariances.roots import leading

__all__ = ["PrincipalCovariance"]


class PrincipalCovariance(LowRankCovariance):
    r"""Probabilistic PCA: :math:`\Sigma = W W^\top + \sigma^2 I`, with a closed-form M-step.

    Parameters
    ----------
    components, features, rank, tied
        As in `LowRankCovariance`.

    References
    ----------
    Tipping and Bishop 1999, Probabilistic principal component analysis.

    Examples
    --------
    >>> PrincipalCovariance(components=1, features=5, rank=2).free_parameters
    10
    """

    shares_noise = True

    def _noise_count(self) -> int:
        return 1

    @torch.no_grad()
    def update(self, averages: Tensor, rows: Tensor, floor: Tensor) -> None:
        """Take the leading eigenvectors; the noise is the mean of the other eigenvalues."""
        values, vectors = torch.linalg.eigh(torch.nan_to_num(averages, posinf=0.0, neginf=0.0))
        rest = self.features - self.rank
        # Below this, eigenvalues are rounding errors.
        rounding = self.features * torch.finfo(values.dtype).eps * values[:, -1:]
        least = rounding.maximum(floor.amin())
        average = values[:, :rest].mean(-1, keepdim=True)
        self.limited = bool((average < least).any())
        noise_variances = average.maximum(least)
        excess = (values[:, rest:] - noise_variances).clamp_min(0.0).sqrt()
        loadings = canonical((vectors[:, :, rest:] * excess.unsqueeze(-2)).flip(-1))
        self._set(rows, loadings, noise_variances)

    def maximise(self, averages: Tensor, floor: Tensor, deadline: float | None = None) -> None:
        """Take the closed form."""
        self.update(averages, averages.new_ones(1, 1), floor)

    @torch.no_grad()
    def maximise_root(self, root: Tensor, floor: Tensor, deadline: float | None = None) -> None:
        """Take the closed form; directions in which no row leaves the mean have no variance."""
        values, vectors, rest = leading(root, self.rank)
        # Below this, singular values are rounding errors, and so are the rows' last digits.
        rounding = (self.features * torch.finfo(values.dtype).eps) ** 2 * root.square().sum()
        least, average = rounding.maximum(floor.amin()), rest / (self.features - self.rank)
        self.limited = bool(average < least)
        noise_variances = average.maximum(least)
        excess = (values - noise_variances).clamp_min(0.0).sqrt()
        self._set(root.new_ones(1, 1), canonical(vectors * excess)[None], noise_variances.view(1, 1))
