"""Log-densities that are sums over rows of data: training steps use a batch, everything else all rows."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from logpx.arguments import check_count
from logpx.distributions.private_randomness import current_generator
from logpx.errors import UsageError
from logpx.posteriors.target.accumulation import accumulated
from logpx.posteriors.target.target import Estimate, Target
from logpx.posteriors.target.vectorisation import over_points, validating

__all__ = ["FactorisedJoint", "FactorisedTarget"]

_TRIED = 3


class FactorisedJoint:
    r"""The log of the joint density of parameters and rows that are independent given them.

    .. math:: \log \tilde p(\theta) = \log p(\theta) + \sum_{i=1}^N \log p(x_i | \theta)

    Given to `posterior`, it makes large data cheap: in a training step a batch of B rows stands for all N,
    its log-likelihood multiplied by N / B. The search for modes, the curvature, the importance weights and
    Markov chains use all rows, in parts, so that memory does not grow with their number.

    Parameters
    ----------
    log_prior
        From parameters to their log-density, for many points ``(n,)`` or for one, as in `posterior`.
    log_likelihood
        From parameters and rows of the data, in the form of `data`, to the log-likelihood of each row in
        nats: ``(n, b)`` for n points and b rows, or ``(b,)`` for one point.
    data
        A tensor, or a tuple or dictionary of tensors, of shape ``(N, ...)`` each.
    batch_size
        Rows per training step.
    at_once
        The most log-likelihoods (points times rows) computed together where all rows are used.

    Raises
    ------
    UsageError
        If there are no rows, tensors differ in length, or an argument is invalid.

    References
    ----------
    Hoffman, Blei, Wang and Paisley 2013, Stochastic variational inference.
    https://arxiv.org/abs/1206.7051

    Examples
    --------
    >>> from torch.distributions import Normal
    >>> from logpx.posteriors import posterior
    >>> x = torch.randn(1000, generator=torch.Generator().manual_seed(0)).double()
    >>> joint = FactorisedJoint(
    ...     lambda theta: Normal(0.0, 10.0).log_prob(theta[:, 0]),
    ...     lambda theta, rows: Normal(theta, 1.0).log_prob(rows),
    ...     x,
    ...     batch_size=100,
    ... )
    >>> found = posterior(joint, dim=1, method="laplace", draws=1000)
    >>> round(float(found.sample(1000).std() * 1000**0.5), 1)
    1.0
    """

    def __init__(
        self,
        log_prior: Callable[[Any], Tensor],
        log_likelihood: Callable[[Any, Any], Tensor],
        data: Any,
        batch_size: int = 512,
        *,
        at_once: int = 2**17,
    ) -> None:
        check_count("batch_size", batch_size)
        check_count("at_once", at_once)
        for name, function in (("log_prior", log_prior), ("log_likelihood", log_likelihood)):
            if not callable(function):
                raise UsageError(
                    f"{name} is a {type(function).__name__}, where a function was expected",
                    fix="give a function in torch",
                )
        self.log_prior, self.log_likelihood = log_prior, log_likelihood
        self.data = tuple(data) if isinstance(data, list) else data
        self.rows = _length(self.data)
        self.batch_size, self.at_once = min(batch_size, self.rows), at_once

    def __call__(self, theta: Any) -> Tensor:
        """Return the log-density of many points given all rows, shape ``(n,)``, in the memory of one part."""
        names, tensors = (
            (tuple(theta), tuple(theta.values())) if isinstance(theta, Mapping) else ((), (theta,))
        )
        points = _points(theta)
        length = max(1, self.at_once // max(1, points))
        wanted = Distribution._validate_args

        def part(start: int) -> Callable[..., Tensor]:
            def evaluate(*values: Tensor) -> Tensor:
                given = dict(zip(names, values, strict=True)) if names else values[0]
                # Derivatives call this again, when torch's checks may be in another state.
                with validating(wanted):
                    return self._each(given, slice(start, start + length)).sum(1)

            return evaluate

        parts = [part(start) for start in range(0, self.rows, length)]
        total = parts[0](*tensors) if len(parts) == 1 else accumulated(parts, *tensors)
        return self._prior(theta) + total

    def on(self, rows: Tensor) -> Callable[[Any], Tensor]:
        """Return the log-density in which the rows with the given indices stand for all."""
        scale = self.rows / len(rows)
        return lambda theta: self._prior(theta) + scale * self._each(theta, rows).sum(1)

    def batch(self) -> Tensor:
        """Draw indices of distinct rows with torch's global generator, shape ``(batch_size,)``."""
        # The time that NumPy's choice takes does not grow with the number of all rows.
        generator = np.random.default_rng(
            int(torch.randint(2**62, (), generator=current_generator(torch.device("cpu"))))
        )
        return torch.from_numpy(generator.choice(self.rows, self.batch_size, replace=False, shuffle=False))

    def over_points(
        self, natural: Callable[[Tensor], Any], size: int, vectorised: bool | None = None
    ) -> FactorisedJoint:
        """Return the same density with functions that take many points; which ones do is found by trying.

        Raises
        ------
        UsageError
            If the log-likelihood does not return one number per point and row, or has no gradient.
        """
        found = copy.copy(self)
        few = _taken(self.data, slice(_TRIED))
        found.log_prior = over_points(self.log_prior, "log_prior", natural, size, vectorised)
        found.log_likelihood = over_points(
            self.log_likelihood, "log_likelihood", natural, size, vectorised, few
        )
        points = torch.zeros(size + 7, size, dtype=torch.float64, requires_grad=True)
        if not found._each(natural(points), slice(_TRIED)).requires_grad:
            raise UsageError(
                "the value of log_likelihood has no gradient",
                fix="compute it from the parameters with torch alone: no .item(), .numpy() or .detach()",
            )
        return found

    def _prior(self, theta: Any) -> Tensor:
        value = self.log_prior(theta)
        points = _points(theta)
        if value.shape != (points,):
            raise UsageError(
                f"log_prior returned shape {tuple(value.shape)} for {points} points",
                fix="return one number per point: sum over all other dimensions",
            )
        return value

    def _each(self, theta: Any, where: Any) -> Tensor:
        rows = _taken(self.data, where)
        value = self.log_likelihood(theta, rows)
        expected = (_points(theta), _length(rows))
        if value.shape != expected:
            raise UsageError(
                f"log_likelihood returned shape {tuple(value.shape)} for {expected[0]} points and "
                f"{expected[1]} rows",
                fix=f"return one number per point and row, shape {expected}: do not sum over rows, but over "
                "all other dimensions",
            )
        return value


class FactorisedTarget(Target):
    """A log-density that is a sum over rows, with estimates of its gradient from batches.

    References
    ----------
    Johnson and Zhang 2013, Accelerating stochastic gradient descent using predictive variance reduction;
    Baker, Fearnhead, Fox and Nemeth 2019, Control variates for stochastic gradient MCMC.
    https://arxiv.org/abs/1706.05439
    """

    _function: FactorisedJoint

    def estimates_near(self, point: Tensor) -> Estimate:
        """Return an unbiased estimator of log-density and gradient that uses a new batch each time.

        Rows differ far more in their log-likelihoods than in the curvature of these, so the first-order
        expansion of the batch around the point is replaced by that of all rows (a control variate).
        """
        if self._function.batch_size == self._function.rows:
            return self.value_and_gradient
        value, slope = self.value_and_gradient(point[None])
        if not bool(value.isfinite().all() & slope.isfinite().all()):
            return self.from_batch

        def estimate(u: Tensor) -> tuple[Tensor, Tensor]:
            values, slopes = self.from_batch(torch.cat([u.detach(), point[None]]))
            change = slope - slopes[-1:]
            return values[:-1] - values[-1] + value + (u.detach() - point) @ change[0], slopes[:-1] + change

        return estimate

    def from_batch(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Estimate log-density and gradient from a new batch, shapes ``(n,)`` and ``(n, size)``."""
        part: Any = copy.copy(self)
        part._function = self._function.on(self._function.batch())
        found: tuple[Tensor, Tensor] = part.value_and_gradient(u)
        return found

    def _over_points(self, log_density: Any, vectorised: bool | None) -> FactorisedJoint:
        joint: FactorisedJoint = log_density
        return joint.over_points(self.natural, self.size, vectorised)


def _tensors(data: Any) -> dict[Any, Any]:
    if isinstance(data, Mapping):
        return dict(data)
    return dict(enumerate(data)) if isinstance(data, tuple) else {"": data}


def _points(theta: Any) -> int:
    return len(next(iter(theta.values())) if isinstance(theta, Mapping) else theta)


def _taken(data: Any, where: Any) -> Any:
    if isinstance(data, Mapping):
        return {name: value[where] for name, value in data.items()}
    return tuple(value[where] for value in data) if isinstance(data, tuple) else data[where]


def _length(data: Any) -> int:
    """Return the number of rows.

    Raises
    ------
    UsageError
        If there are none, or tensors differ in length.
    """
    tensors = _tensors(data)
    for value in tensors.values():
        if not isinstance(value, Tensor) or not value.dim():
            what = "a number" if isinstance(value, Tensor) else f"a {type(value).__name__}"
            raise UsageError(
                f"data hold {what}, where a tensor of rows was expected",
                fix="give tensors with one row per observation: torch.as_tensor(...)",
            )
    lengths = {len(value) for value in tensors.values()}
    if len(lengths) > 1:
        raise UsageError(f"data differ in length: {sorted(lengths)}", fix="give every tensor the same rows")
    if not lengths or lengths == {0}:
        raise UsageError("data hold no rows", fix="give one row or more")
    return lengths.pop()
