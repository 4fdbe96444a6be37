"""Likelihoods of truth values, and of numbers between 0 and 1."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributions
from torch.nn.functional import binary_cross_entropy_with_logits

from logpx.distributions.likelihoods.base import Likelihood, WrappedCells
from logpx.distributions.missing import has_missing
from logpx.errors import DataError

__all__ = ["BernoulliLikelihood", "ContinuousBernoulliLikelihood"]


class BernoulliLikelihood(Likelihood):
    """Truth values, 0 or 1, from logits.

    Grey values are refused: p^x (1 − p)^(1 − x) is not a density for them, as it does not integrate to 1.

    Examples
    --------
    >>> import torch
    >>> likelihood = BernoulliLikelihood(2)
    >>> likelihood(torch.zeros(1, 2)).log_prob(torch.ones(1, 2))
    tensor([-1.3863])
    """

    numbers = 1

    def cells(self, *parameters: Tensor) -> WrappedCells:
        """Return the cells, given their logits."""
        return _BernoulliCells(self.event_shape, self.base(*parameters))

    def base(self, *parameters: Tensor) -> distributions.Bernoulli:
        """Return Bernoulli distributions."""
        return distributions.Bernoulli(logits=parameters[0], validate_args=False)

    def possible(self, x: Tensor) -> Tensor:
        """Return which cells are 0, 1 or missing."""
        return (x == 0.0) | (x == 1.0) | x.isnan()

    @property
    def expected(self) -> str:
        """The possible values, in words."""
        return "0 or 1"

    def check(self, x: Tensor) -> None:
        """Refuse other values, and say why for grey ones."""
        try:
            super().check(x)
        except DataError as error:
            there = x[~x.isnan()]
            if bool(((there >= 0.0) & (there <= 1.0)).all()):
                raise DataError(
                    f"{error.message}: for grey values the Bernoulli formula does not integrate to 1",
                    row=error.row,
                    column=error.column,
                    fix="binarise the values, or take ContinuousBernoulliLikelihood or "
                    "DiscretisedLogisticLikelihood",
                ) from None
            raise


class _BernoulliCells(WrappedCells):
    def log_prob_of_all(self, x: Tensor) -> Tensor:
        return -self._cross_entropy(x)

    def log_prob(self, x: Tensor) -> Tensor:
        if has_missing(x):
            return super().log_prob(x)
        return -self._cross_entropy(x).sum(tuple(range(-len(self.event_shape), 0)))

    def _cross_entropy(self, x: Tensor) -> Tensor:
        # In one forward and one backward pass.
        together: Any = torch.broadcast_tensors
        logits, values = together(self.base.logits, x.to(self.base.logits.dtype))
        return binary_cross_entropy_with_logits(logits, values, reduction="none")


class ContinuousBernoulliLikelihood(Likelihood):
    """Numbers between 0 and 1, with the normalising constant that the Bernoulli formula lacks.

    References
    ----------
    Loaiza-Ganem and Cunningham 2019, The continuous Bernoulli: fixing a pervasive error in variational
    autoencoders.
    https://arxiv.org/abs/1907.06845

    Examples
    --------
    >>> import torch
    >>> ContinuousBernoulliLikelihood(2)(torch.zeros(1, 2)).log_prob(torch.full((1, 2), 0.3))
    tensor([0.])
    """

    numbers = 1

    def base(self, *parameters: Tensor) -> distributions.ContinuousBernoulli:
        """Return continuous Bernoulli distributions."""
        return distributions.ContinuousBernoulli(logits=parameters[0], validate_args=False)

    def possible(self, x: Tensor) -> Tensor:
        """Return which cells lie in [0, 1] or are missing."""
        return ((x >= 0.0) & (x <= 1.0)) | x.isnan()

    @property
    def expected(self) -> str:
        """The possible values, in words."""
        return "a number from 0 to 1"
