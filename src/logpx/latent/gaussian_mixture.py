"""The Gaussian mixture with full covariances."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from logpx.distributions import Distribution
from logpx.distributions.seeding import draw_rows
from logpx.errors import UsageError
from logpx.latent.initialisation import initial_responsibilities
from logpx.latent.statistics import MixtureStatistics
from logpx.transforms.base import check_event

__all__ = ["GaussianMixture"]

_CHUNK_NUMBERS = 2_000_000


class GaussianMixture(Distribution):
    r""":math:`p(x) = \sum_k \pi_k \, N(x; \mu_k, \Sigma_k)` with full covariances, fitted by EM.

    A prior of `prior_rows` pseudo-rows per component, scattered like the whole data but narrower by
    :math:`K^{-2/D}`, keeps components from collapsing on single points; EM then climbs the penalised
    log-likelihood, monotonically.

    Parameters
    ----------
    components
        The number of components K.
    features
        The number of features D.
    prior_rows
        The weight of the prior, in rows per component; 0 is maximum likelihood.

    References
    ----------
    Dempster, Laird and Rubin 1977; Fraley and Raftery 2007 (the prior's scale).

    Examples
    --------
    >>> import logpx, torch
    >>> x = torch.cat([torch.randn(200, 2), torch.randn(200, 2) + 8.0])
    >>> mixture = GaussianMixture(components=2, features=2)
    >>> result = logpx.fit(mixture, x)
    >>> mixture.responsibilities(x).shape
    torch.Size([400, 2])
    """

    prior_covariance: Tensor

    def __init__(self, components: int, features: int, prior_rows: float = 1.0) -> None:
        super().__init__(features)
        if components < 1 or prior_rows < 0.0:
            raise UsageError(
                f"a mixture of {components} components with {prior_rows} prior rows",
                fix="give components >= 1 and prior_rows >= 0",
            )
        self.components, self.prior_rows = components, prior_rows
        self.logits = nn.Parameter(torch.zeros(components))
        self.means = nn.Parameter(torch.zeros(components, features))
        self.log_diagonals = nn.Parameter(torch.zeros(components, features))
        self.lowers = nn.Parameter(torch.zeros(components, features, features))
        self.register_buffer("prior_covariance", torch.eye(features))

    @property
    def weights(self) -> Tensor:
        """The components' weights, shape ``(K,)``."""
        return torch.softmax(self.logits, 0)

    @property
    def choleskys(self) -> Tensor:
        """Lower triangular factors of the covariances, shape ``(K, D, D)``."""
        return self.lowers.tril(-1) + torch.diag_embed(self.log_diagonals.exp())

    @property
    def covariances(self) -> Tensor:
        """The covariances, shape ``(K, D, D)``."""
        return self.choleskys @ self.choleskys.mT

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the log-density in nats, shape ``(*rows,)``."""
        check_event(x, self.event_shape)
        rows = x.reshape(-1, x.shape[-1])
        each = [torch.logsumexp(self._joint(chunk)[0], 0) for chunk in self._chunks(rows)]
        return (torch.cat(each) if each else rows.new_zeros(0)).view(x.shape[:-1])

    def responsibilities(self, x: Tensor) -> Tensor:
        """Return p(component given x), shape ``(n, K)``; rows sum to 1 however far away they lie."""
        # Rows so far out that every component's log-density overflows are shared equally.
        least = 0.5 * torch.finfo(x.dtype).min
        each = [torch.softmax(self._joint(chunk)[0].clamp_min(least), 0).mT for chunk in self._chunks(x)]
        return torch.cat(each) if each else x.new_zeros(0, self.components)

    def sample(self, n: int, context: Tensor | None = None, seed: int | None = None) -> Tensor:
        """Draw rows, shape ``(n, D)``, the components in random order."""
        features = self.event_shape[0]

        def draw(rows: int, generator: torch.Generator | None, device: torch.device) -> Tensor:
            uniform = torch.rand(rows, 1, generator=generator, device=device, dtype=self.means.dtype)
            noise = torch.randn(rows, features, generator=generator, device=device, dtype=self.means.dtype)
            return torch.cat([uniform, noise], 1)

        drawn = draw_rows(n, seed, self.means, draw)
        chosen = (drawn[:, :1] >= self.weights.cumsum(0)[:-1]).sum(-1)
        spread = torch.einsum("nij,nj->ni", self.choleskys[chosen], drawn[:, 1:])
        return self.means[chosen] + spread

    @property
    def reparameterised(self) -> bool:
        """Whether the weights are fixed."""
        return not self.logits.requires_grad

    def statistics(self, x: Tensor, weights: Tensor | None = None) -> MixtureStatistics:
        """E-step: the expected sufficient statistics of rows of shape ``(n, D)``, in float64."""
        total: MixtureStatistics | None = None
        rows = x.double()
        row_weights = rows.new_ones(len(rows)) if weights is None else weights.double()
        for chunk, weight in zip(self._chunks(rows), self._chunks(row_weights), strict=True):
            joint, deviations = self._joint(chunk)
            log_prob = torch.logsumexp(joint, 0)
            part = self._moments(
                torch.exp(joint - log_prob) * weight, deviations, weight @ log_prob, weight.sum()
            )
            total = part if total is None else total + part
        if total is None:
            raise UsageError("statistics of no rows", fix="give at least one row")
        return total

    @torch.no_grad()
    def update(self, statistics: MixtureStatistics) -> None:
        """M-step: the parameters that maximise the expected penalised log-likelihood."""
        count, prior = statistics.count, self.prior_rows
        scatter = statistics.scatter + prior * self.prior_covariance.double()
        # The floor only decides for a component that has lost every row and has no prior to fall back on.
        rows = (count + prior).clamp_min(1e-10)
        covariance = scatter / rows[:, None, None]
        variance = covariance.diagonal(dim1=-2, dim2=-1)
        floor = 1e-12 * self.prior_covariance.diagonal().double()
        covariance = covariance + torch.diag_embed((floor - variance).clamp_min(0.0))
        factor, failed = torch.linalg.cholesky_ex(covariance)
        keep = (failed == 0) & torch.isfinite(factor).flatten(1).all(1) & (count > 1e-10)
        self.logits.copy_(torch.log(count.clamp_min(1e-300) / statistics.weight).clamp_min(-700.0))
        for k in keep.nonzero().flatten().tolist():
            self.means[k] = statistics.mean[k]
            self.log_diagonals[k] = factor[k].diagonal().log()
            self.lowers[k] = factor[k].tril(-1)

    def log_prior(self) -> Tensor:
        """Return the log-density of the prior at the parameters, up to a constant, in nats."""
        if not self.prior_rows:
            return self.means.new_zeros((), dtype=torch.float64)
        factor = self.choleskys.double()
        root = torch.linalg.cholesky(self.prior_covariance.double()).expand_as(factor)
        trace: Tensor = torch.linalg.solve_triangular(factor, root, upper=False).square().sum()
        return -self.prior_rows * (self.log_diagonals.double().sum() + 0.5 * trace)

    @torch.no_grad()
    def initialise_components(self, x: Tensor, seed: int = 0) -> None:
        """Start EM from k-means on whitened rows.

        Parameters
        ----------
        x
            Rows, or a sample of them, shape ``(n, D)``.
        seed
            Different seeds give different starts.
        """
        rows = x.double()
        centred = rows - rows.mean(0)
        covariance = centred.mT @ centred / len(rows)
        covariance.diagonal().add_(1e-9 * covariance.diagonal().mean().clamp_min(1e-300))
        self.prior_covariance.copy_(covariance * self.components ** (-2.0 / self.event_shape[0]))
        responsibilities = initial_responsibilities(centred, covariance, self.components, seed)
        deviations = rows.expand(self.components, *rows.shape)
        zero = rows.new_zeros(())
        self.means.zero_()
        moments = self._moments(responsibilities, deviations - rows.mean(0), zero, zero + len(rows))
        shifted = MixtureStatistics(
            moments.count,
            moments.mean + rows.mean(0),
            moments.scatter,
            moments.log_likelihood,
            moments.weight,
        )
        self.update(shifted)

    def _joint(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return log π_k + log N_k of shape (K, n), and the deviations from the means of shape (K, n, D)."""
        features = self.event_shape[0]
        deviations = rows - self.means.to(rows.dtype)[:, None]
        # Rows times the inverse factor, one triangular inverse per component instead of one solve per row.
        identity = torch.eye(features, dtype=rows.dtype, device=rows.device)
        whitening = torch.linalg.solve_triangular(
            self.choleskys.to(rows.dtype), identity.expand(self.components, -1, -1), upper=False
        ).mT
        z = deviations @ whitening
        log_weights = torch.log_softmax(self.logits.to(rows.dtype), 0)
        constant = log_weights - self.log_diagonals.to(rows.dtype).sum(-1)
        log_normal = -0.5 * (z * z).sum(-1) - 0.5 * features * math.log(2.0 * math.pi)
        return constant[:, None] + log_normal, deviations

    def _moments(
        self, weighted: Tensor, deviations: Tensor, log_likelihood: Tensor, weight: Tensor
    ) -> MixtureStatistics:
        count = weighted.sum(-1)
        step = torch.einsum("kn,knd->kd", weighted, deviations) / count.clamp_min(1e-300)[:, None]
        scatter = (deviations * weighted.unsqueeze(-1)).mT @ deviations
        scatter = scatter - count[:, None, None] * step.unsqueeze(-1) * step.unsqueeze(-2)
        return MixtureStatistics(count, self.means.double() + step, scatter, log_likelihood, weight)

    def _chunks(self, rows: Tensor) -> Iterator[Tensor]:
        size = max(64, _CHUNK_NUMBERS // (self.components * self.event_shape[0]))
        return iter(torch.split(rows, size)) if len(rows) else iter(())
