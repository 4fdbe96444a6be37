"""Mixtures for rows whose columns are of different kinds."""

from __future__ import annotations

from collections.abc import Sequence

from logpx.arguments import check_count, check_number
from logpx.errors import UsageError
from logpx.latent.bernoulli import BernoulliComponents
from logpx.latent.categorical import CategoricalComponents
from logpx.latent.components import Components
from logpx.latent.covariances import covariance_named
from logpx.latent.gaussian_components import GaussianComponents
from logpx.latent.mixture import LatentMixture
from logpx.latent.poisson import PoissonComponents
from logpx.latent.priors import ConjugatePrior
from logpx.latent.product_components import ProductComponents
from logpx.suggestions import suggestion

__all__ = ["MixedMixture"]

_KINDS = ("normal", "bernoulli", "poisson")


class MixedMixture(LatentMixture):
    r"""A mixture for rows of real columns, truth values, counts and categories, fitted by EM.

    Within a component the real columns are jointly normal, and the other columns are independent of them and
    of one another; the components make columns depend on each other. With real columns, log p is the log of a
    density in them and of a probability in the others. A missing cell is NaN, and is integrated out; a value
    that its column cannot have has log-probability -inf, and a fit refuses it.

    Parameters
    ----------
    components
        The number of components K.
    kinds
        For each column ``"normal"``, ``"bernoulli"`` (0 or 1), ``"poisson"`` (0, 1, 2, ...), or the number of
        levels of a categorical column with codes from 0.
    covariance
        The covariance of the real columns: one of `logpx.latent.COVARIANCES`.
    rank
        The number of latent dimensions of ``low_rank`` and ``principal``.
    prior
        A conjugate prior; None means maximum likelihood. Its mean and covariance are for the real columns;
        its ``mean_rows`` are also the pseudo-rows of the probabilities and rates.
    floor
        The least variance of the real columns in any direction, relative to the variances of the data.

    Raises
    ------
    UsageError
        If a number is invalid, or there is no such kind or covariance.

    References
    ----------
    Everitt 1988, A finite mixture model for the clustering of mixed-mode data.

    Examples
    --------
    >>> import logpx, torch
    >>> side = (torch.arange(200) % 2).float()
    >>> x = torch.stack([torch.randn(200) + 9.0 * side, side, torch.poisson(1.0 + 20.0 * side)], 1)
    >>> mixture = MixedMixture(components=2, kinds=["normal", "bernoulli", "poisson"])
    >>> result = logpx.fit(mixture, x)
    >>> mixture.impute(torch.tensor([[9.0, torch.nan, 21.0]]))[0, 1]
    tensor(1.)
    """

    gains_from_noise = False

    parts: ProductComponents

    def __init__(
        self,
        components: int,
        kinds: Sequence[str | int],
        covariance: str = "full",
        rank: int | None = None,
        *,
        prior: ConjugatePrior | None = None,
        floor: float = 1e-6,
    ) -> None:
        kinds = _checked_kinds(kinds)
        if prior is not None and not isinstance(prior, ConjugatePrior):
            raise UsageError(f"the prior is {prior!r}", fix="give a logpx.latent.ConjugatePrior")
        check_number("floor", floor)
        if floor < 0.0:
            raise UsageError(f"floor is {floor}", fix="give 0 or more")
        rows = 0.0 if prior is None else prior.mean_rows
        places: dict[str, list[int]] = {kind: [] for kind in (*_KINDS, "categorical")}
        for column, kind in enumerate(kinds):
            places[kind if isinstance(kind, str) else "categorical"].append(column)
        parts: list[Components] = []
        # Checked even without real columns, so that an invalid covariance is refused.
        normal = covariance_named(covariance, components, max(1, len(places["normal"])), rank)
        if places["normal"]:
            parts.append(GaussianComponents(normal, prior, floor))
        if places["bernoulli"]:
            parts.append(BernoulliComponents(components, len(places["bernoulli"]), rows))
        if places["poisson"]:
            parts.append(PoissonComponents(components, len(places["poisson"]), rows))
        if places["categorical"]:
            levels = [int(kinds[column]) for column in places["categorical"]]
            parts.append(CategoricalComponents(components, levels, rows))
        weight_rows = 0.0 if prior is None else prior.weight_rows
        super().__init__(ProductComponents(parts, [own for own in places.values() if own]), weight_rows)
        self.kinds, self.floor = kinds, floor

    def blank(self, columns: Sequence[int]) -> MixedMixture:
        """Return a mixture of some of the columns with parameters not yet set."""
        # The covariance of a marginal or conditional need not be of the same kind.
        return MixedMixture(self.components, [self.kinds[column] for column in columns], floor=self.floor)


def _checked_kinds(kinds: Sequence[str | int]) -> list[str | int]:
    if isinstance(kinds, str) or not isinstance(kinds, Sequence) or not kinds:
        raise UsageError(
            f"kinds is {kinds!r}", fix=f"give a list of {', '.join(_KINDS)} or numbers of levels"
        )
    for kind in kinds:
        if not isinstance(kind, str):
            check_count("kinds", kind, least=2)
        elif kind not in _KINDS:
            raise UsageError(f"there is no kind of column {kind!r}", fix=suggestion(kind, list(_KINDS)))
    return list(kinds)
