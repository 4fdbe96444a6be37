"""What can be seen of a posterior: figures, and the frame in a notebook."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from logpx.errors import UsageError
from logpx.markup import card, facts, html_table
from logpx.posteriors.approximations.expansion import Expansion
from logpx.posteriors.approximations.landscape import Landscape
from logpx.posteriors.diagnostics.importance import Weighted
from logpx.posteriors.diagnostics.summaries import Summary, named_columns
from logpx.posteriors.diagnostics.verdict import Diagnosis, Trust
from logpx.posteriors.target.costs import Costs
from logpx.posteriors.target.target import Target

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PosteriorFigures"]

_DRAWS = 4000


class PosteriorFigures(ABC):
    """The figures of a posterior; matplotlib is imported when the first is drawn.

    Draws are resampled by their importance weights, as far as the verdict trusts these.
    """

    method: str
    target: Target
    landscape: Landscape | None
    traces: tuple[tuple[float, ...], ...]
    costs: Costs

    @property
    @abstractmethod
    def weighted(self) -> Weighted:
        """Draws from q with their importance weights."""

    @property
    @abstractmethod
    def diagnosis(self) -> Diagnosis:
        """All numbers about its quality."""

    @property
    @abstractmethod
    def elbo(self) -> float:
        """A lower bound of the log-evidence, in nats."""

    @property
    @abstractmethod
    def verdict(self) -> str:
        """Whether to trust it, in one sentence."""

    @abstractmethod
    def sample(self, n: int, seed: int = 0, resampled: bool = False) -> Any:
        """Draw from the posterior."""

    @abstractmethod
    def summary(self, resampled: bool = True) -> Summary:
        """Return numbers of each parameter."""

    def plot_pair(
        self, columns: Sequence[str | int] | None = None, *, n: int = _DRAWS, seed: int = 0, ax: Any = None
    ) -> Any:
        """Plot every two parameters against each other, with the verdict above.

        Parameters
        ----------
        columns
            Names of parameters (``"scale"``, or ``"mean[0]"`` for one entry) or places; the first 6 by
            default.
        n, seed
            How many draws, and their seed.
        ax
            As in `logpx.plots.plot_pair`.

        Returns
        -------
        numpy.ndarray
            The axes, shape ``(d, d)``.

        Raises
        ------
        MissingExtraError
            If matplotlib is not installed.
        UsageError
            If there is no such parameter.

        Examples
        --------
        >>> from logpx.posteriors import posterior
        >>> found = posterior(lambda x: -0.5 * x.square().sum(-1), dim=2, method="laplace")
        >>> found.plot_pair().shape
        (2, 2)
        """
        from logpx import plots

        return plots.plot_pair(
            self._plotted_draws(n, seed), columns=columns, title=self._short_verdict, ax=ax
        )

    def plot_marginals(
        self, columns: Sequence[str | int] | None = None, *, n: int = _DRAWS, seed: int = 0, ax: Any = None
    ) -> Any:
        """Plot a histogram of each parameter; arguments as for `plot_pair`, the first 24 by default.

        Returns
        -------
        numpy.ndarray
            The axes, one for each parameter.
        """
        from logpx import plots

        return plots.plot_marginals(self._plotted_draws(n, seed), columns=columns, ax=ax)

    def plot_weights(self, *, ax: Axes | None = None) -> Axes:
        """Plot the importance weights and k-hat; see `logpx.plots.plot_weights`."""
        from logpx import plots

        found = self.diagnosis
        return plots.plot_weights(self.weighted.log_weights, k_hat=found.k_hat, limit=found.limit, ax=ax)

    def plot_modes(self, *, ax: Axes | None = None) -> Axes:
        """Plot the modes that were met with their shares of the mass, by weighted draws and by curvature.

        A draw belongs to a mode by the probability that the normal distribution with the mode's curvature
        gives it; where that is far from the posterior's form, the two shares of a mode differ.

        Raises
        ------
        MissingExtraError
            If matplotlib is not installed.
        UsageError
            If no search for modes was made.
        """
        from logpx import plots

        landscape = self.landscape
        if landscape is None:
            raise UsageError("no modes were searched for", fix="plot the result of logpx.posterior")
        modes = landscape.main_modes
        expected = torch.softmax(torch.tensor([mode.log_mass for mode in modes]).double(), 0)
        shares = self._shares(modes, expected) if modes else expected
        names = [self.target.describe(mode.mode).removeprefix("the point ") for mode in modes]
        return plots.plot_modes(
            names, shares, expected=expected, unseen=landscape.unseen, climbs=landscape.climbs, ax=ax
        )

    def plot_bound(self, *, ax: Axes | None = None) -> Axes:
        """Plot the bound at each training step beside the log-evidence; see `logpx.plots.plot_bound`."""
        from logpx import plots

        found = self.diagnosis
        return plots.plot_bound(
            self.traces,
            elbo=self.elbo,
            log_evidence=found.log_evidence,
            log_evidence_error=found.log_evidence_error,
            ax=ax,
        )

    def _repr_html_(self) -> str:
        """Show the verdict first, then numbers and a table of the parameters."""
        found = self.diagnosis
        numbers: dict[str, object] = {
            "log evidence": f"{found.log_evidence:.3f} ± {found.log_evidence_error:.3f} nats",
            "ELBO": f"{self.elbo:.3f} nats",
            "k-hat": f"{found.k_hat:.2f}, limit {found.limit:.2f}",
            "effective draws": f"{found.ess:,.0f} of {found.draws:,}",
        }
        if self.landscape is not None and self.landscape.modes:
            landscape = self.landscape
            numbers["modes met"] = f"{len(landscape.modes):,} after {landscape.climbs:,} climbs"
        if self.costs.stages:
            numbers["cost"] = self.costs.total
        rows = [
            {
                "parameter": row.name,
                "mean": f"{row.mean:.4g}",
                "sd": f"{row.standard_deviation:.4g}",
                **{
                    f"{share}%": f"{value:.4g}"
                    for share, value in zip((5, 50, 95), row.quantiles, strict=True)
                },
            }
            for row in self.summary(self._can_resample).rows
        ]
        return card(f"Posterior by {self.method}", self.verdict, facts(numbers), html_table(rows))

    @property
    def _can_resample(self) -> bool:
        return self.diagnosis.trust is not Trust.DO_NOT

    @property
    def _short_verdict(self) -> str:
        found = self.diagnosis
        why = f": {found.missed}" if found.missed is not None else ""
        return f"{found.trust.value}{why}\nk-hat {found.k_hat:.2f} (limit {found.limit:.2f})"

    def _shares(self, modes: Sequence[Expansion], expected: Tensor) -> Tensor:
        """Return the share of the weighted draws that belongs to each mode."""
        weights = self.weighted.smoothed
        # Draws with weight 0 may lie anywhere.
        present = weights > 0.0
        u = self.weighted.u[present]
        with torch.no_grad():
            each = torch.stack([mode.normal.log_prob(u) for mode in modes], 1)
            return weights[present] @ torch.softmax(each + expected.log(), 1)

    def _plotted_draws(self, n: int, seed: int) -> dict[str, Any]:
        return dict(named_columns(self.sample(n, seed, resampled=self._can_resample)))
