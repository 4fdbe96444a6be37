"""Where the features of a spline flow live, and which splines and noise follow from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from logpx.arguments import check_number, check_places
from logpx.distributions import Distribution, Product, StandardNormal, Uniform
from logpx.errors import UsageError
from logpx.flows.layers import Functions
from logpx.nets import CircularEmbedding
from logpx.transforms import (
    AffineFunction,
    BoundedRationalQuadraticFunction,
    CircularRationalQuadraticFunction,
    ComposedFunction,
    PerFeatureFunction,
    RationalQuadraticFunction,
    Standardize,
    Transform,
    Univariate,
    Wrap,
)
from logpx.transforms.elementwise import UNIT_HALF_WIDTH

__all__ = ["Bounded", "Domain", "Domains", "Line", "Periodic"]


class Domain:
    """Where a feature lives: its spline, its noise, and its ends or mean and scale where they are given."""

    ends: tuple[float, float] | None = None
    given: tuple[float, float] | None = None
    circular = False

    def spline(self, bins: int) -> Univariate:
        """Return the spline of this domain."""
        raise NotImplementedError

    def base(self, features: int) -> Distribution:
        """Return the distribution of the noise of this many features."""
        raise NotImplementedError


class Line(Domain):
    """The real line: a spline on [-bound, bound] of the standardized data, and normal noise."""

    def __init__(self, bound: float, affine: bool) -> None:
        check_number("bound", bound, above=0.0)
        self.bound, self.affine = bound, affine

    def spline(self, bins: int) -> Univariate:
        """Return a spline with linear tails, after a shift and scale if `affine`."""
        spline = RationalQuadraticFunction(bins, self.bound)
        return ComposedFunction([AffineFunction(), spline]) if self.affine else spline

    def base(self, features: int) -> Distribution:
        """Return a standard normal distribution."""
        return StandardNormal(features)


class Bounded(Domain):
    """An interval: scaled to unit variance by its ends alone, a spline onto itself, and uniform noise."""

    def __init__(self, lower: float, upper: float) -> None:
        self.ends = (lower, upper)

    def spline(self, bins: int) -> Univariate:
        """Return a spline from the interval onto itself."""
        return BoundedRationalQuadraticFunction(bins, -UNIT_HALF_WIDTH, UNIT_HALF_WIDTH)

    def base(self, features: int) -> Distribution:
        """Return a uniform distribution on the interval."""
        return Uniform(features, -UNIT_HALF_WIDTH, UNIT_HALF_WIDTH)


class Periodic(Domain):
    """A circle: never rescaled, and uniform noise."""

    given = (0.0, 1.0)
    circular = True

    def __init__(self, period: float) -> None:
        check_number("period", period, above=0.0)
        self.period = period

    def spline(self, bins: int) -> Univariate:
        """Return a spline of the circle."""
        return CircularRationalQuadraticFunction(bins, self.period)

    def base(self, features: int) -> Distribution:
        """Return a uniform distribution on the circle."""
        return Uniform(features, -0.5 * self.period, 0.5 * self.period)


class Domains(Functions):
    """The domains of all features of a spline flow, each with the spline that suits it.

    Parameters
    ----------
    features
        The number of features.
    bins
        The number of spline bins.
    bound
        Where splines on the line end, in standard deviations.
    circular
        The features that are angles.
    period
        The length of the circle.
    bounded
        The ends of the interval of each bounded feature.

    Raises
    ------
    UsageError
        If a named feature does not exist, or is given two domains.
    """

    def __init__(
        self,
        features: int,
        bins: int,
        bound: float,
        circular: Sequence[int],
        *,
        period: float,
        bounded: Mapping[int, Sequence[float]],
        affine: bool = False,
    ) -> None:
        check_places("circular", circular, features)
        self._line, self._circle = Line(bound, affine), Periodic(period)
        # Keys of JSON objects are text.
        intervals = {int(feature): Bounded(*ends) for feature, ends in bounded.items()}
        named = [*circular, *intervals]
        if len(set(named)) < len(named) or not set(named) <= set(range(features)):
            raise UsageError(
                f"circular is {list(circular)} and bounded names {list(intervals)}, of {features} features",
                fix=f"name each feature at most once, by its number from 0 to {features - 1}",
            )
        self.domains: list[Domain] = [
            self._circle if feature in set(circular) else intervals.get(feature, self._line)
            for feature in range(features)
        ]
        self._bins = bins
        self._period = period

    def univariate(self, order: Sequence[int]) -> Univariate:
        """Return the splines of the features in the given order."""
        kinds = list(dict.fromkeys(type(self.domains[feature]) for feature in order))
        one_of = {type(domain): domain for domain in self.domains}
        splines = [one_of[kind].spline(self._bins) for kind in kinds]
        choice = [kinds.index(type(self.domains[feature])) for feature in order]
        return splines[0] if len(splines) == 1 else PerFeatureFunction(splines, choice)

    def embedding(self, order: Sequence[int]) -> CircularEmbedding | None:
        """Return what conditioners see of features in the given order; None means the values."""
        circular = [place for place, feature in enumerate(order) if self.domains[feature].circular]
        return CircularEmbedding(len(order), circular, self._period) if circular else None

    def base(self, order: Sequence[int]) -> Distribution:
        """Return the distribution of the noise, for features in the order they leave the layers in."""
        runs = [list(run) for _, run in groupby((self.domains[f] for f in order), key=type)]
        parts = [run[0].base(len(run)) for run in runs]
        return parts[0] if len(parts) == 1 else Product(parts)

    def front(self) -> list[Transform]:
        """Return the transforms that bring data to the scale of the layers."""
        given = {feature: domain.given for feature, domain in enumerate(self.domains) if domain.given}
        bounded = {feature: domain.ends for feature, domain in enumerate(self.domains) if domain.ends}
        circular = [feature for feature, domain in enumerate(self.domains) if domain.circular]
        features = len(self.domains)
        standardize = Standardize(features, given, bounded)
        return [Wrap(features, circular, self._period), standardize] if circular else [standardize]
