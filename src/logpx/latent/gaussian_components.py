"""Normal components of a mixture, with covariances of any kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from logpx.distributions.column_checks import refuse_constant, refuse_empty, refuse_lost
from logpx.distributions.conditional import NormalMixtureMarginals
from logpx.distributions.meta import identity_matrix
from logpx.errors import UsageError
from logpx.latent.components import Components
from logpx.latent.covariances import Covariance, FullCovariance, LowRankCovariance
from logpx.latent.covariances.base import NO_ROWS
from logpx.latent.covariances.roots import triangular_root
from logpx.latent.e_step import (
    Conditionals,
    NormalEStep,
    NormalParameters,
    grouped,
    normal_e_step,
    numbers_per_row,
)
from logpx.latent.priors import ConjugatePrior
from logpx.latent.statistics import GaussianStatistics

__all__ = ["GaussianComponents"]

_ROUNDING_FLOOR = 1e-14
# In what a pass has in hand of complete rows, so that it stays near the second-level cache.
_NUMBERS_OF_ROWS = 200_000
# In the matrices of rows with missing cells, which may all differ.
_MOST_NUMBERS = 20_000_000
# With a smaller share of cells missing, blocks of the precisions are smaller than those of the covariances.
_SHARE_OF_FEW = 0.8


class GaussianComponents(Components):
    """K normal distributions of D features.

    Parameters
    ----------
    covariance
        Their covariances.
    prior
        A conjugate prior, or None for maximum likelihood.
    floor
        The least variance in any direction, relative to the variances of the data: EM seeks the optimum
        among covariances that respect it.
    """

    centre: Tensor
    scale: Tensor
    prior_mean: Tensor
    prior_covariance: Tensor

    def __init__(self, covariance: Covariance, prior: ConjugatePrior | None, floor: float) -> None:
        super().__init__(covariance.components, covariance.features)
        features = covariance.features
        self.means = nn.Parameter(torch.zeros(covariance.components, features))
        self.covariance = covariance
        self.floor = floor
        self.register_buffer("centre", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))
        self.register_buffer("prior_mean", torch.zeros(features))
        self.register_buffer("prior_covariance", torch.zeros(0, 0))
        self.take_prior(prior)

    def take_prior(self, prior: ConjugatePrior | None) -> None:
        """Use a prior in every later fit, or none; a D × D matrix is kept only if it has a covariance."""
        self.prior = prior
        features = self.features if prior is not None and prior.covariance_rows else 0
        self.prior_covariance = identity_matrix(features).to(self.means)

    @property
    def free_parameters(self) -> int:
        """The free parameters of the means and the covariances."""
        return self.means.numel() + self.covariance.free_parameters

    @property
    def floors(self) -> Tensor:
        """The least variance of every feature, shape ``(D,)``, float64."""
        return self._relative_floor * self.scale.double().square()

    @property
    def _relative_floor(self) -> float:
        # A floor of 0 still leaves what rounding needs.
        return max(self.floor or _ROUNDING_FLOOR, self.covariance.least_floor)

    def rows_at_once(self, missing: bool) -> int:
        """Return how many rows' squares or products fit the caches, or share patterns of missing cells."""
        if missing and not self.covariance.diagonal:
            return self._rows_of(self.components * self.features**2, _MOST_NUMBERS, least=1)
        return self._rows_of(numbers_per_row(self.covariance), _NUMBERS_OF_ROWS)

    @property
    def gains_by_threads_for_rows(self) -> bool:
        """Whether there are products of columns; squares alone take less time than threads cost."""
        return not self.covariance.diagonal

    def matrices(self) -> Tensor:
        """Return the covariance of every component in float64, shape ``(K, D, D)``."""
        return self.covariance.matrices().expand(self.components, -1, -1)

    def roots(self) -> Tensor:
        """Return a square root of the covariance of every component in float64, shape ``(K, D, m)``."""
        return self.covariance.roots().expand(self.components, -1, -1)

    def log_prob(self, x: Tensor) -> Tensor:
        """Return the log-density of rows under each component, shape ``(K, n)``."""
        missing = x.isnan()
        if not bool(missing.any()):
            return self.covariance.log_normal(x - self.means.to(x.dtype)[:, None])
        most = int(missing.sum(1).amax())
        if isinstance(self.covariance, LowRankCovariance) and self.covariance.prefers_latent(most):
            deviations = (x.double() - self.means.double()[:, None]).masked_fill(missing, 0.0)
            return self.covariance.log_normal_of_present(deviations, ~missing).to(x.dtype)
        if not torch.is_grad_enabled() and most < _SHARE_OF_FEW * self.features:
            passed = self.e_step(x.double(), True)
            return passed.log_prob(x.double()).to(x.dtype)
        means, roots = self.means.double(), self.roots()
        values = x.double().masked_fill(missing, 0.0)
        places, found = [], []
        for group in grouped(~missing, self.components * self.features**2):
            conditionals = Conditionals(means, roots, group.present)
            each = conditionals.log_normal(conditionals.deviations(values[group.rows]))
            valid = (group.rows >= 0).flatten()
            places.append(group.rows.flatten()[valid])
            found.append(each.transpose(0, 1).flatten(1)[:, valid])
        return torch.cat(found, 1)[:, torch.cat(places).argsort()].to(x.dtype)

    def e_step(self, x: Tensor, missing: bool) -> NormalEStep:
        """Begin an E-step; rows with and without missing cells may come in any order."""
        parameters = NormalParameters(
            self.means.detach().double(), self.covariance, self.centre.double(), self.scale.double()
        )
        return normal_e_step(parameters, missing)

    @torch.no_grad()
    def update(self, statistics: GaussianStatistics) -> None:
        """M-step; a component that has lost every row stays where it is."""
        prior = self.prior or ConjugatePrior()
        count, mean, scatter = statistics.count, statistics.mean, statistics.scatter
        rows = count
        if prior.mean_rows:
            step = mean - self.prior_mean.double()
            share = prior.mean_rows / (count + prior.mean_rows)
            scatter = scatter + statistics.products(step, count * share)
            mean = mean - step * share
        if prior.covariance_rows:
            own = self.prior_covariance.double()
            scatter = scatter + prior.covariance_rows * (own.diagonal() if statistics.diagonal else own)
        if self.covariance.tied:
            rows = rows.sum(0, keepdim=True)
        rows = rows + prior.covariance_rows
        divisor = rows.clamp_min(NO_ROWS)
        averages = scatter / (divisor if statistics.diagonal else divisor.unsqueeze(-1))
        # A column observed in no row of a component keeps its mean; a component without rows, its covariance.
        lost = (count + prior.mean_rows <= NO_ROWS) | ~torch.isfinite(mean)
        self.means.copy_(torch.where(lost, self.means, mean))
        self.covariance.update(averages, rows, self.floors)

    def log_prior(self) -> Tensor:
        """Return the log-prior of means and covariances, up to a constant."""
        total = self.means.new_zeros((), dtype=torch.float64)
        if self.prior is None:
            return total
        if self.prior.covariance_rows:
            penalty = self.covariance.penalty(self.prior_covariance.double()).sum()
            total = total - 0.5 * self.prior.covariance_rows * penalty
        if self.prior.mean_rows:
            precisions, _ = self.covariance.precisions()
            step = self.means.double() - self.prior_mean.double()
            if self.covariance.diagonal:
                distance = (step.square() * precisions).sum()
            else:
                distance = (step.unsqueeze(-2) @ precisions @ step.unsqueeze(-1)).sum()
            total = total - 0.5 * self.prior.mean_rows * distance
        return total

    @torch.no_grad()
    def initialise(self, x: Tensor, weights: Tensor | None = None) -> None:
        """Set the units of sums, the floor and the prior from the moments of rows, weighted or not.

        Raises
        ------
        DataError
            If a column has no value, or never varies.
        """
        present = ~x.isnan()
        shares = present.double() if weights is None else present * weights.double()[:, None]
        count = shares.sum(0)
        refuse_empty(count == 0)
        centre = (torch.where(present, x, 0.0) * shares).sum(0) / count
        deviations = torch.where(present, x - centre, 0.0)
        variance = (deviations.square() * shares).sum(0) / count
        self.set_units(centre, self.scales_of(centre, variance, self.covariance.shares_noise))
        # All components as wide as the data, so that cells are first filled in with the columns' means.
        self.means.copy_(centre.expand_as(self.means))
        kept = self.prior is not None and self.prior.covariance_rows > 0.0
        if self.covariance.diagonal and not kept:
            own = variance
        else:
            covariance = self._pairwise(deviations, shares, present)
            own = covariance.diagonal() if self.covariance.diagonal else covariance
        blocks = own.expand(self.covariance.blocks, *own.shape)
        self.covariance.forget()
        self.covariance.update(blocks, torch.ones_like(blocks.flatten(1)[:, :1]), self.floors)
        if self.prior is None:
            return
        mean = self.prior.mean
        self.prior_mean.copy_(centre if mean is None else self._given("mean", mean, 1))
        if kept and self.prior.covariance is not None:
            given: Any = self.prior.covariance
            if isinstance(given, float):
                given = given * torch.eye(self.features)
            self.prior_covariance.copy_(self._given("covariance", given, 2))
        elif kept:
            self.prior_covariance.copy_(covariance * self.components ** (-2.0 / self.features))

    def match_moments(self, x: Tensor) -> None:
        """Take the means, and the covariances from the rows in which both columns are observed."""
        self.initialise(x)
        prior = self.prior or ConjugatePrior()
        if prior.covariance_rows and not self.covariance.diagonal:
            rows = len(x) + prior.covariance_rows
            own = prior.covariance_rows * self.prior_covariance.double()
            total = len(x) * self.covariance.matrices() + own
            self.covariance.update(total / rows, total.new_full((len(total), 1), rows), self.floors)

    def _pairwise(self, deviations: Tensor, shares: Tensor, present: Tensor) -> Tensor:
        """Return the covariance from the rows in which both columns are observed, made positive definite."""
        pairs = present.double().mT @ shares
        # The product of two columns never observed together is 0 anyway.
        covariance = deviations.mT @ (deviations * shares) / pairs.clamp_min(torch.finfo(pairs.dtype).tiny)
        units = self.scale.double() * self.scale.double()[:, None]
        values, vectors = torch.linalg.eigh(covariance / units)
        # What is below 0 is chance, and so is whatever is no larger.
        least = float(-values[0].clamp_max(-1e-9))
        result: Tensor = (vectors * values.clamp_min(least)) @ vectors.mT * units
        return result

    def scales_of(self, centre: Tensor, variance: Tensor, constants: bool) -> Tensor:
        """Return the deviations of columns; for a constant one, if allowed, that of an average column.

        Raises
        ------
        DataError
            If a column is not finite, or never varies and may not, or no column varies.
        """
        refuse_lost(~torch.isfinite(variance))
        constant = ~(variance > 1e-28 * centre.square())
        if not constants or bool(constant.all()):
            refuse_constant(constant)
        return torch.where(constant, variance[~constant].mean(), variance).sqrt()

    @torch.no_grad()
    def set_units(self, centre: Tensor, scale: Tensor) -> None:
        """Take sums of (x - centre) / scale, and make `floors` relative to the square of the scale.

        Parameters
        ----------
        centre, scale
            Shape ``(D,)``.
        """
        self.centre.copy_(centre)
        self.scale.copy_(scale)

    def set_floors(self, centre: Tensor, floors: Tensor) -> None:
        """Set absolute least variances, whatever the variances of the data.

        Parameters
        ----------
        centre
            The point that sums are taken about, shape ``(D,)``.
        floors
            The least variance of every feature, shape ``(D,)``; 0 leaves what rounding needs in units of 1.
        """
        unit = self._relative_floor
        self.set_units(centre, torch.where(floors > 0.0, floors / unit, 1.0).sqrt())

    def _given(self, name: str, values: Any, dimensions: int) -> Tensor:
        given = torch.as_tensor(values, dtype=torch.float64, device=self.means.device)
        if given.shape != (self.features,) * dimensions:
            raise UsageError(
                f"the prior's {name} has the shape {tuple(given.shape)}",
                fix=f"give {' × '.join([str(self.features)] * dimensions)} numbers",
            )
        return given

    def draw(self, chosen: Tensor, generator: torch.Generator | None) -> Tensor:
        """Draw rows with the means and covariances of the chosen components."""
        means = self.means.to(chosen.device)
        noise = torch.randn(
            len(chosen), self.features, generator=generator, device=chosen.device, dtype=means.dtype
        )
        return means[chosen] + self.covariance.spread(chosen, noise)

    def expectations(self) -> Tensor:
        """Return the means, shape ``(K, D)``."""
        return self.means

    @torch.no_grad()
    def draw_missing(self, x: Tensor, chosen: Tensor, generator: torch.Generator | None) -> Tensor:
        """Draw the missing cells of every row from their normal distribution given the others."""
        noise = torch.randn(x.shape, generator=generator, device=chosen.device, dtype=torch.float64)
        noise, chosen = noise.to(x.device), chosen.to(x.device)
        result = torch.cat([x, x[:1]]).double()
        for places, conditionals, means in self._conditionals(x):
            rows = means + (noise[places][:, None] @ conditionals.roots().mT).transpose(1, 2)
            component = chosen[places][..., None, None].expand(*places.shape, 1, self.features)
            result[places] = rows.gather(2, component).squeeze(2)
        return torch.where(x.isnan(), result[:-1].to(x), x) if len(x) else x

    @torch.no_grad()
    def impute(self, x: Tensor, responsibilities: Tensor) -> Tensor:
        """Fill in missing cells with their conditional means."""
        result = torch.cat([x, x[:1]])
        for places, _, means in self._conditionals(x):
            result[places] = (means * responsibilities[places].unsqueeze(-1)).sum(2).to(x)
        return torch.where(x.isnan(), result[:-1], x) if len(x) else x

    @torch.no_grad()
    def conditionals(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the distribution of every row's missing cells under each component, given the other cells.

        Parameters
        ----------
        x
            Shape ``(n, D)``; NaN is missing.

        Returns
        -------
        means : Tensor
            Shape ``(n, K, D)``; observed cells keep their value.
        roots : Tensor
            Square roots of the covariances, shape ``(n, K, D, D)``; 0 in rows of observed cells.
        """
        rows, features = x.shape
        means = x.new_empty(rows + 1, self.components, features)
        roots = x.new_empty(rows + 1, self.components, features, features)
        for places, conditionals, own in self._conditionals(x):
            means[places] = own.to(x)
            roots[places] = conditionals.roots().to(x)[:, None].expand(*places.shape, -1, -1, -1)
        return means[:-1], roots[:-1]

    @torch.no_grad()
    def conditional_marginals(
        self, x: Tensor, column: int, responsibilities: Tensor
    ) -> NormalMixtureMarginals:
        """Return the mixture of the components' normal conditionals of a column, one for every row."""
        means = x.new_empty(len(x) + 1, self.components, dtype=torch.float64)
        scales = torch.ones_like(means)
        for places, conditionals, own in self._conditionals(x):
            means[places] = own[..., column]
            spread = conditionals.roots()[..., column, :].norm(dim=-1)
            scales[places] = spread[:, None].expand(*places.shape, -1)
        return NormalMixtureMarginals(responsibilities, means[:-1], scales[:-1])

    def _conditionals(self, x: Tensor) -> Iterator[tuple[Tensor, Conditionals, Tensor]]:
        """Yield each group's rows (-1 pads), its conditionals and their means, shape ``(P, R, K, D)``."""
        missing = x.isnan()
        values = x.double().masked_fill(missing, 0.0)
        means, roots = self.means.detach().double(), self.roots().detach()
        for group in grouped(~missing, self.components * self.features**2):
            conditionals = Conditionals(means, roots, group.present)
            filled = conditionals.filled(conditionals.deviations(values[group.rows]))
            yield group.rows, conditionals, filled.transpose(1, 2) + means

    def marginal(self, columns: Sequence[int]) -> GaussianComponents:
        """Return the marginals: rows and columns of the covariances."""
        return self._with(self.means[:, columns], self.roots()[:, columns])

    def condition(self, columns: Sequence[int], values: Tensor) -> GaussianComponents:
        """Return the conditional distributions of the other columns."""
        others = [column for column in range(self.features) if column not in set(columns)]
        known = torch.zeros(1, self.features, dtype=torch.bool, device=values.device)
        known[0, columns] = True
        x = torch.zeros(1, 1, self.features, dtype=torch.float64, device=values.device)
        x[0, 0, columns] = values.double()
        means = self.means.detach().double()
        conditionals = Conditionals(means, self.roots().detach(), known)
        filled = conditionals.filled(conditionals.deviations(x))[0, :, 0] + means
        return self._with(filled[:, others], conditionals.roots()[0][:, others])

    @torch.no_grad()
    def _with(self, means: Tensor, roots: Tensor) -> GaussianComponents:
        covariance = FullCovariance(self.components, means.shape[1])
        result = GaussianComponents(covariance, None, self.floor).to(self.means)
        factors = triangular_root(roots.detach())
        result.means.copy_(means)
        covariance.log_diagonals.copy_(factors.diagonal(dim1=-2, dim2=-1).log())
        covariance.lowers.copy_(factors.tril(-1))
        result.centre.copy_(means.mean(0))
        result.scale.copy_(roots.square().sum(-1).mean(0).sqrt())
        return result

    def feasible(self) -> bool:
        """Return whether the covariances respect the floor."""
        return self.covariance.feasible(self.floors)

    def collapsed(self, statistics: GaussianStatistics) -> list[str]:
        """Return the components with too few rows for a covariance, or shrunk to the floor."""
        count = statistics.count.amin(-1)
        shrunk = self.covariance.smallest(self.floors) < 1.01
        if self.covariance.tied:
            return ["all components"] if bool(shrunk) else []
        if self.prior is None or not self.prior.covariance_rows:
            least = 1.0 if self.covariance.diagonal else float(self.features)
            shrunk = shrunk | (count <= least * (1.0 + 1e-6))
        found = shrunk.nonzero().flatten()
        return [f"component {k} on {count[k].item():.3g} rows" for k in found.tolist()]
