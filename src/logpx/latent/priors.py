"""Conjugate priors as pseudo-rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from logpx.arguments import is_number
from logpx.configuration import Configured
from logpx.errors import UsageError

__all__ = ["ConjugatePrior"]


class ConjugatePrior(Configured):
    r"""Dirichlet and normal-inverse-Wishart priors of a Gaussian mixture, in units of rows.

    EM adds the pseudo-rows to the sufficient statistics and climbs the penalised log-likelihood: the
    log-likelihood plus, with weights :math:`\pi_k`,

    .. math:: w \sum_k \log \pi_k
       - \tfrac12 \sum_k \left[ m (\mu_k - \mu_0)^\top \Sigma_k^{-1} (\mu_k - \mu_0)
       + c \left( \log |\Sigma_k| + \mathrm{tr}(\Sigma_k^{-1} S_0) \right) \right].

    In the usual parametrisation the Dirichlet has concentration 1 + w, and the normal-inverse-Wishart has
    :math:`\kappa = m`, :math:`\Psi = c S_0` and :math:`\nu = c - D - 2`, or :math:`c - D - 1` if m is 0.

    Parameters
    ----------
    weight_rows
        The number w of pseudo-rows for each component's weight.
    mean_rows
        The number m of pseudo-rows for each mean.
    covariance_rows
        The number c of pseudo-rows for each covariance.
    mean
        The prior mean; by default the mean of the data that EM starts from.
    covariance
        The prior covariance S₀, a number for that multiple of the identity; by default the data's, shrunk by
        :math:`K^{-2/D}`, so that K components together fill its volume.

    Raises
    ------
    UsageError
        If a number of rows is negative.

    References
    ----------
    Fraley and Raftery 2007, Bayesian regularization for normal mixture estimation.

    Examples
    --------
    >>> from logpx.latent import GaussianMixture
    >>> mixture = GaussianMixture(components=3, features=2, prior=ConjugatePrior(covariance_rows=1.0))
    """

    def __init__(
        self,
        weight_rows: float = 0.0,
        mean_rows: float = 0.0,
        covariance_rows: float = 0.0,
        *,
        mean: Sequence[float] | None = None,
        covariance: Sequence[Sequence[float]] | float | None = None,
    ) -> None:
        rows = {"weight_rows": weight_rows, "mean_rows": mean_rows, "covariance_rows": covariance_rows}
        for name, value in rows.items():
            if not is_number(value) or not 0.0 <= value < float("inf"):
                raise UsageError(f"{name} is {value!r}", fix="give a number of rows, 0 or more")
        self.weight_rows = float(weight_rows)
        self.mean_rows = float(mean_rows)
        self.covariance_rows = float(covariance_rows)
        self.mean = None if mean is None else [float(value) for value in mean]
        self.covariance: list[list[float]] | float | None = None
        if is_number(covariance):
            self.covariance = float(cast(float, covariance))
        elif covariance is not None:
            matrix = cast(Sequence[Sequence[float]], covariance)
            self.covariance = [[float(value) for value in row] for row in matrix]

    def __repr__(self) -> str:
        """Return the call that builds the prior."""
        given = [f"{name}={value!r}" for name, value in vars(self).items() if name[0] != "_"]
        return f"ConjugatePrior({', '.join(given)})"
