"""The kinds of covariance by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from logpx.errors import UsageError
from logpx.latent.covariances.base import Covariance
from logpx.latent.covariances.diagonal import DiagonalCovariance, SphericalCovariance
from logpx.latent.covariances.factors import FactorCovariance
from logpx.latent.covariances.full import FullCovariance
from logpx.latent.covariances.principal import PrincipalCovariance
from logpx.suggestions import suggestion

__all__ = ["COVARIANCES", "covariance_named"]


@dataclass(frozen=True)
class _Kind:
    build: Callable[..., Covariance]
    tied: bool = False
    ranked: bool = False


COVARIANCES: Mapping[str, _Kind] = MappingProxyType(
    {
        "full": _Kind(FullCovariance),
        "tied": _Kind(FullCovariance, tied=True),
        "diagonal": _Kind(DiagonalCovariance),
        "tied_diagonal": _Kind(DiagonalCovariance, tied=True),
        "spherical": _Kind(SphericalCovariance),
        "tied_spherical": _Kind(SphericalCovariance, tied=True),
        "low_rank": _Kind(FactorCovariance, ranked=True),
        "tied_low_rank": _Kind(FactorCovariance, tied=True, ranked=True),
        "principal": _Kind(PrincipalCovariance, ranked=True),
        "tied_principal": _Kind(PrincipalCovariance, tied=True, ranked=True),
    }
)


def covariance_named(name: str, components: int, features: int, rank: int | None = None) -> Covariance:
    """Return covariances of the kind with that name.

    Parameters
    ----------
    name
        One of `COVARIANCES`; hyphens may stand for underscores.
    components, features
        The number of normal distributions, and of their features.
    rank
        The number of latent dimensions, for kinds of low rank only.

    Raises
    ------
    UsageError
        If there is no such kind, or a rank is missing or out of place.

    Examples
    --------
    >>> covariance_named("tied-diagonal", 3, 2)
    DiagonalCovariance(components=3, features=2, tied=True)
    """
    key = name.replace("-", "_") if isinstance(name, str) else name
    if key not in COVARIANCES:
        fix = suggestion(str(name), list(COVARIANCES))
        raise UsageError(f"there is no covariance {name!r}", fix=fix)
    kind = COVARIANCES[key]
    if kind.ranked != (rank is not None):
        fix = "give rank=2, say" if kind.ranked else "leave rank out, or take covariance='low_rank'"
        raise UsageError(f"covariance={name!r} with rank={rank!r}", fix=fix)
    ranks = {"rank": rank} if kind.ranked else {}
    return kind.build(components, features, tied=kind.tied, **ranks)
