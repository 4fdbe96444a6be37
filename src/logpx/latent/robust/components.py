"""The components of several small Gaussian mixtures of the same columns, as one matrix."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

__all__ = ["JointComponents", "packed", "unpacked"]

# Rows that show what is usual for a mixture with some of its columns.
_DRAWS = 128
# Of the variances in all directions, what rounding may take from one.
_ROUNDING = 1e-13


def packed(matrices: Tensor) -> Tensor:
    """Return the lower triangles of matrices ``(…, q, q)``, row by row: ``(…, q (q + 1) / 2)``."""
    row, column = torch.tril_indices(matrices.shape[-1], matrices.shape[-1])
    return matrices[..., row, column]


def unpacked(triangles: Tensor, width: int) -> Tensor:
    """Return lower triangular matrices ``(…, q, q)`` from their packed triangles."""
    row, column = torch.tril_indices(width, width)
    found = triangles.new_zeros(*triangles.shape[:-1], width, width)
    found[..., row, column] = triangles
    return found


@dataclass(frozen=True, kw_only=True)
class JointComponents:
    r"""The components of m mixtures of the same q columns, C in all.

    The logarithm of each density is a linear function of a constant, the columns, and products of two of
    them, so that rows meet all components in one matrix product. Variances are bounded from below and units
    are robust, so that hardly a digit is lost by this.

    Attributes
    ----------
    columns : Tensor
        Which columns of a row they have, shape ``(q,)``.
    sizes : tuple of int
        The number of components of each mixture, ascending.
    log_weights, means, roots : Tensor
        Shapes ``(C,)``, ``(C, q)`` and ``(C, q, q)``; roots of covariances, lower triangular.
    """

    columns: Tensor
    sizes: tuple[int, ...]
    log_weights: Tensor
    means: Tensor
    roots: Tensor

    def log_prob(self, y: Tensor) -> Tensor:
        """Return log p of rows of all columns, ``(n, d)``, under each mixture: ``(m, n)``."""
        if len(self.sizes) == 1:
            # Products of columns are worth their while if many components share them.
            return self._log_prob_by_whitening(y[:, self.columns])[None]
        joint = self._coefficients @ _features(y[:, self.columns].T.contiguous())
        groups = zip(*self._by_size(joint), strict=True)
        return torch.cat([_log_sum_exp(part.view(-1, size, part.shape[1])) for size, part in groups])

    def without(self, missing: Tensor) -> JointComponents:
        """Return the mixtures with some of the columns, ``(q,)``, integrated out.

        The variances of a missing column become 1 and its covariances 0, so that it adds the same to every
        row as long as it is put at its mean.
        """
        kept = (~missing)[:, None] & ~missing
        covariances = self.roots @ self.roots.mT * kept + torch.diag(missing.to(self.roots))
        return replace(
            self,
            means=self.means.masked_fill(missing, 0.0),
            roots=torch.linalg.cholesky(covariances),
        )

    def sharper(self, less: float) -> JointComponents:
        """Return the mixtures with a variance taken away in every direction, of which they have more."""
        return replace(self, roots=torch.linalg.cholesky(self._remaining(less)))

    def has_variance(self, least: float) -> bool:
        """Return whether the mixtures have more than a variance in every direction."""
        proper = self.roots.diagonal(dim1=-2, dim2=-1) > 0.0
        _, failed = torch.linalg.cholesky_ex(self._remaining(least))
        return bool(proper.all()) and bool(self.roots.isfinite().all()) and not bool(failed.any())

    def _remaining(self, less: float) -> Tensor:
        covariances = self.roots @ self.roots.mT
        variances = covariances.diagonal(dim1=-2, dim2=-1)
        taken = less - _ROUNDING * variances.sum(-1)
        eye = torch.eye(len(self.columns)).to(covariances)
        return covariances - taken[:, None, None] * eye

    def log_prob_without_each(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return log p of rows, ``(m, n)``, and of what each own column leaves of them, ``(m, n, q)``.

        With the precision P of a component and the deviation d from its mean, a column given the others is
        normal with the variance 1 / P_jj, and (P d)_j / P_jj off its mean.
        """
        precisions = torch.cholesky_inverse(self.roots)
        off = y[:, self.columns] - self.means[:, None]
        pulls = off @ precisions
        joint = self._constants[:, None] - 0.5 * (off * pulls).sum(-1)
        own = precisions.diagonal(dim1=-2, dim2=-1)[:, None]
        rest = joint[..., None] + 0.5 * (math.log(2.0 * math.pi) - own.log() + pulls.square() / own)
        whole, left = (
            torch.stack([part.logsumexp(0) for part in torch.split(each, list(self.sizes))])
            for each in (joint, rest)
        )
        return whole, left

    def draws(self) -> list[Tensor]:
        """Return rows drawn from each mixture, of the own columns, the same ones each time: ``(n, q)``."""
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(_DRAWS, len(self.columns), generator=generator, dtype=torch.float64)
        found = []
        for one in self._mixtures():
            shares = one.log_weights.exp().cumsum(0)
            places = (torch.arange(_DRAWS).to(shares) + 0.5) / _DRAWS * shares[-1]
            which = torch.searchsorted(shares, places).clamp_max(len(shares) - 1)
            found.append(one.means[which] + (one.roots[which] @ noise.to(shares)[..., None])[..., 0])
        return found

    def mean_log_prob(self, rows: Iterable[Tensor]) -> Tensor:
        """Return the mean log p of rows of the own columns, each mixture having rows of its own: ``(m,)``."""
        each = zip(self._mixtures(), rows, strict=True)
        return torch.stack([one._log_prob_by_whitening(own).mean() for one, own in each])

    def _log_prob_by_whitening(self, y: Tensor) -> Tensor:
        """Return log p of rows of the own columns, ``(n, q)``, under a single mixture."""
        off = (y[:, None] - self.means).permute(1, 2, 0)
        z = torch.linalg.solve_triangular(self.roots, off, upper=False)
        return torch.logsumexp(self._constants[:, None] - 0.5 * z.square().sum(1), 0)

    def _mixtures(self) -> Iterator[JointComponents]:
        ends = list(itertools.accumulate(self.sizes))
        for size, end in zip(self.sizes, ends, strict=True):
            own = slice(end - size, end)
            yield replace(
                self,
                sizes=(size,),
                log_weights=self.log_weights[own],
                means=self.means[own],
                roots=self.roots[own],
            )

    @property
    def _constants(self) -> Tensor:
        log_det = self.roots.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return self.log_weights - log_det - 0.5 * len(self.columns) * math.log(2.0 * math.pi)

    @cached_property
    def _coefficients(self) -> Tensor:
        """What each component multiplies `_features` by, shape ``(C, 1 + q + q (q + 1) / 2)``."""
        precisions = torch.cholesky_inverse(self.roots)
        linear = (precisions @ self.means[..., None])[..., 0]
        constants = self._constants - 0.5 * (linear * self.means).sum(-1)
        # Each product of two different columns stands for two.
        products = packed(precisions - 0.5 * torch.diag_embed(precisions.diagonal(dim1=-2, dim2=-1)))
        return torch.cat([constants[:, None], linear, -products], 1)

    def _by_size(self, joint: Tensor) -> tuple[list[int], list[Tensor]]:
        groups = {size: size * len(list(some)) for size, some in itertools.groupby(self.sizes)}
        return list(groups), list(torch.split(joint, list(groups.values())))


def _log_sum_exp(x: Tensor) -> Tensor:
    """Return ``x.logsumexp(1)`` of finite numbers, which are overwritten: no copies are made."""
    if x.shape[1] == 1:
        return x[:, 0]
    largest = x.amax(1)
    return x.sub_(largest[:, None]).exp_().sum(1).log_().add_(largest)


def _features(y: Tensor) -> Tensor:
    """Return 1, the columns and their products, ``(1 + q + q (q + 1) / 2, n)``, of columns ``(q, n)``."""
    row, column = torch.tril_indices(len(y), len(y))
    found = y.new_empty(1 + len(y) + len(row), y.shape[1])
    found[0] = 1.0
    found[1 : 1 + len(y)] = y
    torch.mul(y[row], y[column], out=found[1 + len(y) :])
    return found
