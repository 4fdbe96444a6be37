"""What all mixtures with exact EM share: weights, E-step, M-step, posterior, samples."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, MixtureSameFamily
from torch.nn import functional

from logpx.arguments import check_places
from logpx.distributions import Distribution
from logpx.distributions.conditional import Marginals
from logpx.distributions.missing import check_finite_or_missing, has_missing
from logpx.distributions.moments import check_weights
from logpx.distributions.row_threads import for_parts
from logpx.distributions.seeding import checked_count, draw_rows, generator_of
from logpx.errors import DataError, UsageError
from logpx.latent.components import Components
from logpx.latent.initialisation import initial_responsibilities
from logpx.latent.statistics import MixtureStatistics
from logpx.wording import counted

__all__ = ["LatentMixture", "known_values"]

_LEAST_SHARE = 1e-280
# Of a part of the rows, for a thread of its own.
_LEAST_CHUNKS = 2


def known_values(values: Any, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return values of known columns as a tensor; NaN is not known.

    Raises
    ------
    UsageError
        If they are no numbers, or one is infinite.

    Examples
    --------
    >>> known_values([1, 2], torch.float32, torch.device("cpu"))
    tensor([1., 2.])
    """
    try:
        given = torch.as_tensor(values, dtype=dtype, device=device)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UsageError(
            f"values {values!r}, where numbers were expected", fix="give one number per known column"
        ) from error
    if bool(given.isinf().any()):
        raise UsageError(
            "an infinite value, whose density is 0", fix="give finite values, or NaN if not known"
        )
    return given


class LatentMixture(Distribution):
    r""":math:`p(x) = \sum_k \pi_k \, p_k(x)`, with the component k as the latent variable.

    A missing cell is NaN, and is integrated out: log p is that of the observed cells, and 0 for a row
    without any. Columns can be left out (`marginal`), given (`condition`) and filled in (`impute`).

    Parameters
    ----------
    parts
        The components.
    weight_rows
        The number of pseudo-rows in the prior of each component's weight.

    Attributes
    ----------
    allows_missing : bool
        Whether rows may have missing cells.
    """

    allows_constants = True
    allows_missing = True

    def __init__(self, parts: Components, weight_rows: float = 0.0) -> None:
        super().__init__(parts.features)
        self.parts = parts
        self.components = parts.components
        self.weight_rows = weight_rows
        self.logits = nn.Parameter(torch.zeros(parts.components))

    @property
    def weights(self) -> Tensor:
        """The components' weights, shape ``(K,)``."""
        return torch.softmax(self.logits, 0)

    @property
    def free_parameters(self) -> int:
        """How many numbers can vary independently, K - 1 weights included."""
        return self.components - 1 + self.parts.free_parameters

    @property
    def prior(self) -> Categorical:
        """p(z), the distribution of the component, as one of torch."""
        return Categorical(logits=self.logits)

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the log-density of the observed cells in nats, shape ``(*rows,)``."""
        missing = has_missing(x)
        found = self._log_prob(x, missing)
        if bool(found.isnan().any()):
            # Infinity less infinity, which comes much later in double precision.
            found = torch.where(found.isnan(), self._log_prob(x.double(), missing).to(found.dtype), found)
        return found.masked_fill(x.isnan().all(1), 0.0) if missing else found

    def _log_prob(self, x: Tensor, missing: bool) -> Tensor:
        each = [torch.logsumexp(self._joint(chunk), 0) for chunk in self._chunks(x, missing)]
        return torch.cat(each) if each else x.new_zeros(0)

    def posterior(self, x: Tensor) -> Categorical:
        """Return p(z given x), the distribution of each row's component, as one of torch.

        A row so far out that the density of every component overflows is shared equally.
        """
        least = 0.5 * torch.finfo(x.dtype).min
        chunks = self._chunks(x.reshape(-1, x.shape[-1]), has_missing(x))
        each = [self._joint(chunk).nan_to_num(nan=least).clamp_min(least).mT for chunk in chunks]
        logits = torch.cat(each) if each else x.new_zeros(0, self.components)
        return Categorical(logits=logits.view(*x.shape[:-1], self.components), validate_args=False)

    def responsibilities(self, x: Tensor) -> Tensor:
        """Return p(component given x), shape ``(*rows, K)``; rows sum to 1 however far away they lie."""
        probabilities: Tensor = self.posterior(x).probs
        return probabilities

    def sample(self, n: int, context: Tensor | None = None, seed: int | None = None) -> Tensor:
        """Draw rows, shape ``(n, D)``, with components in random order."""

        def draw(rows: int, generator: torch.Generator | None, device: torch.device) -> Tensor:
            uniform = torch.rand(rows, 1, generator=generator, device=device, dtype=self.logits.dtype)
            chosen = (uniform >= self.weights.to(device).cumsum(0)[:-1]).sum(-1)
            return self.parts.draw(chosen, generator)

        return draw_rows(n, seed, self.logits, draw, width=self.event_shape[0])

    @abstractmethod
    def blank(self, columns: Sequence[int]) -> Self:
        """Return a mixture of some of the columns, in that order, with parameters not yet set."""

    def marginal(self, columns: Sequence[int]) -> Self:
        """Return the distribution of some columns, in that order.

        Raises
        ------
        UsageError
            If a column does not exist, none is named, or one is named twice.
        """
        chosen = self._columns(columns)
        return self._of(chosen, self.parts.marginal(chosen), self.logits)

    @torch.no_grad()
    def condition(self, columns: Sequence[int], values: Any) -> Self | MixtureSameFamily:
        """Return the distribution of the other columns, given values of some.

        Parameters
        ----------
        columns
            The known columns.
        values
            Shape ``(columns,)``; NaN means not known. Some mixtures also take rows of values.

        Returns
        -------
        LatentMixture
            Over the other columns, in their order; for rows of values, a distribution of torch.

        Raises
        ------
        UsageError
            If the columns or the shape of the values are invalid, no column is left, or the values cannot
            occur.
        """
        given = known_values(values, torch.float64, self.logits.device)
        given = given[None] if given.dim() == 0 else given
        known, others = self._known_and_others(columns, given)
        if given.dim() != 1:
            raise UsageError(f"values of shape {tuple(given.shape)}", fix=f"give {len(known)} values")
        there = (~given.isnan()).nonzero().flatten().tolist()
        if not there:
            return self.marginal(others)
        x = given.new_full((1, self.event_shape[0]), torch.nan)
        x[0, known] = given
        joint = self._joint(x)[:, 0]
        if not bool(joint.isfinite().any()):
            raise UsageError(f"the values {given.tolist()} cannot occur", fix="give values of the columns")
        places = [known[place] for place in there]
        left = [column for column in range(self.event_shape[0]) if column not in set(places)]
        parts = self.parts.condition(places, given[there])
        parts = parts.marginal([left.index(column) for column in others])
        return self._of(others, parts, torch.log_softmax(joint, 0))

    @torch.no_grad()
    def impute(self, x: Tensor, draws: int | None = None, seed: int | None = None) -> Tensor:
        """Fill in missing cells: with the best guess of each, or with draws from their joint conditional.

        Parameters
        ----------
        x
            Rows with NaN for missing cells, shape ``(n, D)``. Observed cells are returned unchanged.
        draws
            The number of completed tables to draw. None fills in conditional means of real columns and of
            counts, and the most probable value of every other cell.
        seed
            The seed of the draws; None for torch's global generator.

        Returns
        -------
        Tensor
            Shape ``(n, D)``, or ``(draws, n, D)``.

        Raises
        ------
        UsageError
            If the shape is wrong, or the number of draws is below 1.
        """
        if x.dim() != 2:
            raise UsageError(f"rows of shape {tuple(x.shape)}", fix=f"give shape (n, {self.event_shape[0]})")
        check_finite_or_missing(x)
        shares = self.responsibilities(x.double())
        if draws is None:
            return self.parts.impute(x, shares)
        if checked_count(draws) < 1:
            raise UsageError(counted(draws, "draw"), fix="draw once or more, or leave draws out")
        generator = None if seed is None else generator_of(seed)
        device = x.device if generator is None else torch.device("cpu")
        uniform = torch.rand(draws, len(x), 1, generator=generator, device=device, dtype=torch.float64)
        chosen = (uniform >= shares.to(device).cumsum(1)[:, :-1]).sum(-1)
        rows = self.parts.draw_missing(x.repeat(draws, 1), chosen.flatten(), generator)
        return rows.view(draws, *x.shape)

    @torch.no_grad()
    def conditional_marginals(self, x: Tensor, column: int) -> Marginals:
        """Return the distribution of a column given the other cells that are there, one for every row.

        Parameters
        ----------
        x
            Shape ``(n, D)``; NaN is missing. Cells of the column itself do not count.
        column
            Its number.

        Returns
        -------
        Marginals
            A mixture of normal distributions, or probabilities of codes: exact.

        Raises
        ------
        UsageError
            If the shape is wrong, there is no such column, or it holds counts.
        """
        check_places("column", [column], self.event_shape[0])
        known = x.double().index_fill(1, torch.tensor([column], device=x.device), torch.nan)
        return self.parts.conditional_marginals(known, column, self.responsibilities(known))

    @property
    def reparameterised(self) -> bool:
        """Whether the weights are fixed."""
        return not self.logits.requires_grad

    @torch.no_grad()
    def statistics(self, x: Tensor, weights: Tensor | None = None) -> MixtureStatistics:
        """E-step: the expected sufficient statistics of rows of shape ``(n, D)``, in float64.

        Raises
        ------
        UsageError
            If there are no rows.
        """
        if not len(x):
            raise UsageError("there are no rows", fix="give at least one row")
        check_weights(weights, len(x))
        rows = x.double()
        row_weights = None if weights is None else weights.double()
        missing = has_missing(rows)
        if missing:
            # A row without a value says nothing, not even about the weights.
            row_weights = rows.new_ones(len(rows)) if row_weights is None else row_weights
            row_weights = row_weights.masked_fill(rows.isnan().all(1), 0.0)
        # With cells missing, chunks are as large as memory allows, and keep several threads busy.
        several = self.parts.gains_by_threads_for_rows and not missing
        least = _LEAST_CHUNKS * self.parts.rows_at_once(missing) if several else len(rows)

        def of_part(part: slice) -> MixtureStatistics:
            return self._statistics(rows[part], None if row_weights is None else row_weights[part], missing)

        parts = for_parts(of_part, rows, least)
        found = parts[0]
        for other in parts[1:]:
            found = found + other
        if not bool(found.log_likelihood.isfinite()):
            check_finite_or_missing(rows)
        return found

    def _statistics(self, rows: Tensor, row_weights: Tensor | None, missing: bool) -> MixtureStatistics:
        log_weights = torch.log_softmax(self.logits.double(), 0)[:, None]
        passed = self.parts.e_step(rows, missing)
        count = torch.zeros_like(log_weights[:, 0])
        log_likelihood = rows.new_zeros(())
        weighted = repeat(None) if row_weights is None else self._chunks(row_weights, missing)
        for chunk, weight in zip(self._chunks(rows, missing), weighted, strict=False):
            joint = passed.log_prob(chunk).add_(log_weights)
            largest = joint.amax(0)
            # Step by step on what the caches hold: softmax and logsumexp would each start afresh.
            shares = joint.sub_(largest).exp_()
            total_share = shares.sum(0)
            shares.mul_(total_share.reciprocal())
            found = total_share.log_().add_(largest)
            # Denormal numbers are negligible here, and would take many times as long.
            functional.threshold(shares, _LEAST_SHARE, 0.0, inplace=True)
            if weight is not None:
                found *= weight
                shares *= weight
            log_likelihood += found.sum()
            count += shares.sum(1)
            passed.add(shares)
        total = rows.new_tensor(len(rows)) if row_weights is None else row_weights.sum()
        return MixtureStatistics(count, passed.statistics(), log_likelihood, total)

    @torch.no_grad()
    def update(self, statistics: MixtureStatistics) -> None:
        """M-step: the parameters that maximise the expected penalised log-likelihood."""
        count = statistics.count + self.weight_rows
        if bool(count.sum() > 0.0):
            self.logits.copy_(torch.log(count.clamp_min(1e-300) / count.sum()).clamp_min(-700.0))
        self.parts.update(statistics.parts)

    def log_prior(self) -> Tensor:
        """Return the log-density of the prior at the parameters, up to a constant, in nats."""
        weights = self.weight_rows * torch.log_softmax(self.logits.double(), 0).sum()
        return weights + self.parts.log_prior()

    def feasible(self) -> bool:
        """Return whether the parameters respect all limits that the M-step respects."""
        return self.parts.feasible()

    def collapsed(self, statistics: MixtureStatistics) -> list[str]:
        """Describe each component that has shrunk onto a few rows; return nothing if all is well."""
        return self.parts.collapsed(statistics.parts)

    @torch.no_grad()
    def initialise_components(self, x: Tensor, seed: int = 0, start: str | None = None) -> None:
        """Set units, floor and prior from rows, and start EM by assigning them to components.

        Parameters
        ----------
        x
            Rows, or a sample of them, shape ``(n, D)``.
        seed
            Different seeds give different starts.
        start
            One of `logpx.latent.STARTS`; None takes the best ones in turn, by the seed.

        Raises
        ------
        DataError
            If there are fewer rows than components, a column has no value, a real one never varies, or a
            value cannot occur.
        """
        rows = x.double()
        there = ~rows.isnan().all(1)
        if int(there.sum()) < self.components:
            raise DataError(
                f"only {counted(int(there.sum()), 'row')} with a value, for "
                f"{counted(self.components, 'component')}",
                fix="give more rows, or fewer components",
            )
        # Rows without a value are kept until here, so that errors number the rows as the user does.
        self.parts.initialise(rows)
        rows = rows[there]
        shares = initial_responsibilities(self.parts.embedding(rows), self.components, seed, start)
        alike = torch.full_like(shares, 1.0 / self.components)
        self.maximise_assigned(rows, torch.lerp(shares, alike, self.parts.shared_at_first))

    @torch.no_grad()
    def match_moments(self, x: Tensor) -> None:
        """Make all components alike, with the means and the pairwise covariances of rows, without EM.

        Raises
        ------
        DataError
            As in `initialise_components`.
        """
        self.parts.match_moments(x.double())

    @torch.no_grad()
    def initialise_assigned(self, x: Tensor, responsibilities: Tensor) -> None:
        """Start EM from given responsibilities, of shape ``(n, K)``, for rows ``(n, D)``.

        Raises
        ------
        UsageError
            If the shape is wrong, or they are not at least 0 and sum to 1.
        """
        shares = torch.as_tensor(responsibilities, dtype=torch.float64, device=x.device)
        if shares.shape != (len(x), self.components):
            raise UsageError(
                f"responsibilities of shape {tuple(shares.shape)}",
                fix=(
                    f"give one for each of {counted(len(x), 'row')} and "
                    f"{counted(self.components, 'component')}"
                ),
            )
        if not bool((shares >= 0.0).all()) or not torch.allclose(
            shares.sum(1), torch.ones_like(shares[:, 0])
        ):
            raise UsageError("responsibilities are not probabilities", fix="let every row sum to 1")
        self.parts.initialise(x.double())
        self.maximise_assigned(x.double(), shares.mT)

    @torch.no_grad()
    def maximise_assigned(self, rows: Tensor, shares: Tensor) -> None:
        """M-step for given shares of shape ``(K, n)`` of rows ``(n, D)``, both float64."""
        missing = has_missing(rows)
        if missing:
            # A row without a value says nothing, not even about the weights.
            shares = shares.masked_fill(rows.isnan().all(1), 0.0)
        passed = self.parts.e_step(rows, missing)
        # Only the sums are needed, but a pass computes densities of rows before it adds them.
        for chunk, share in zip(self._chunks(rows, missing), self._chunks(shares.mT, missing), strict=True):
            passed.log_prob(chunk)
            passed.add(share.mT.contiguous())
        weight = shares.sum()
        self.update(MixtureStatistics(shares.sum(1), passed.statistics(), weight * 0.0, weight))

    def _columns(self, columns: Sequence[int]) -> list[int]:
        chosen: list[int] = list(columns) if isinstance(columns, Iterable) else [columns]
        features = self.event_shape[0]
        check_places("columns", chosen, features)
        if not chosen or len(set(chosen)) < len(chosen):
            raise UsageError(f"columns is {columns!r}", fix="name at least one column, and each once")
        return [int(column) for column in chosen]

    def _known_and_others(self, columns: Sequence[int], values: Tensor) -> tuple[list[int], list[int]]:
        known, size = self._columns(columns), self.event_shape[0]
        others = [column for column in range(size) if column not in set(known)]
        if values.shape[-1] != len(known) or not others:
            raise UsageError(
                f"values of shape {tuple(values.shape)} for {len(known)} of {counted(size, 'column')}",
                fix="give one value per column named, and leave at least one column out",
            )
        return known, others

    @torch.no_grad()
    def _of(self, columns: Sequence[int], parts: Components, logits: Tensor) -> Self:
        result = self.blank(columns).to(self.logits)
        result.parts.load_state_dict(parts.state_dict())
        result.logits.copy_(logits)
        return result

    def _joint(self, rows: Tensor) -> Tensor:
        return torch.log_softmax(self.logits.to(rows.dtype), 0)[:, None] + self.parts.log_prob(rows)

    def _chunks(self, rows: Tensor, missing: bool) -> Iterator[Tensor]:
        return iter(torch.split(rows, self.parts.rows_at_once(missing))) if len(rows) else iter(())
