"""Missing cells of rows under components of any kind: one place that knows how each kind fills them in."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from logpx.errors import UsageError
from logpx.latent.components import Components
from logpx.latent.conditioning import impute
from logpx.latent.feature_components import FeatureComponents
from logpx.latent.gaussian_components import GaussianComponents

__all__ = ["best_cells", "drawn_cells", "embedded"]


@functools.singledispatch
def best_cells(parts: Components, x: Tensor, shares: Tensor) -> Tensor:
    """Return rows with missing cells filled in: by their means, or by the most probable of unordered values.

    Register your own components with ``best_cells.register``.

    Parameters
    ----------
    parts
        The components.
    x
        Shape ``(n, columns)``; NaN is missing.
    shares
        The probabilities of the components given all that is known of each row, shape ``(n, K)``.

    Raises
    ------
    UsageError
        If no way is registered for components of this class.

    Examples
    --------
    >>> from logpx.latent.poisson import PoissonComponents
    >>> shares = torch.tensor([[0.3, 0.7]], dtype=torch.float64)
    >>> best_cells(PoissonComponents(2, 1), torch.tensor([[torch.nan]]), shares).tolist()
    [[1.0]]
    """
    raise _unknown(parts)


@functools.singledispatch
def drawn_cells(parts: Components, x: Tensor, chosen: Tensor, generator: torch.Generator | None) -> Tensor:
    """Return rows with missing cells drawn jointly, given the other cells and the component of the row.

    Register your own components with ``drawn_cells.register``.

    Parameters
    ----------
    parts
        The components.
    x
        Shape ``(n, columns)``; NaN is missing.
    chosen
        The component of each row, shape ``(n,)``, on the device of the generator.
    generator
        None for torch's global one.

    Raises
    ------
    UsageError
        If no way is registered for components of this class.

    Examples
    --------
    >>> from logpx.latent.bernoulli import BernoulliComponents
    >>> x = torch.tensor([[1.0, torch.nan]])
    >>> drawn_cells(BernoulliComponents(1, 2), x, torch.tensor([0]), None)[0, 0]
    tensor(1.)
    """
    raise _unknown(parts)


@functools.singledispatch
def embedded(parts: Components, x: Tensor) -> Tensor:
    """Return rows as points whose distances mean something, in which clusters can be sought.

    Parameters
    ----------
    parts
        The components.
    x
        Shape ``(n, columns)``; NaN is missing.

    Returns
    -------
    Tensor
        Shape ``(n, numbers)``, NaN where missing; rows as they are unless registered otherwise.

    Examples
    --------
    >>> from logpx.latent.categorical import CategoricalComponents
    >>> embedded(CategoricalComponents(2, [3]), torch.tensor([[2.0]]))
    tensor([[0., 0., 1.]])
    """
    return x


def _unknown(parts: Components) -> UsageError:
    return UsageError(
        f"{type(parts).__name__} does not say how missing cells are filled in",
        fix="register functions for it with logpx.latent.imputation",
    )


@best_cells.register
def _(parts: FeatureComponents, x: Tensor, shares: Tensor) -> Tensor:
    return torch.where(x.isnan(), parts.best(shares).to(x), x)


@best_cells.register
def _(parts: GaussianComponents, x: Tensor, shares: Tensor) -> Tensor:
    if not bool(x.isnan().any()):
        return x
    return impute(parts, lambda rows: shares.mT.log(), x, None, None)


@drawn_cells.register
def _(parts: FeatureComponents, x: Tensor, chosen: Tensor, generator: torch.Generator | None) -> Tensor:
    return torch.where(x.isnan(), parts.draw(chosen, generator).to(x), x)


@drawn_cells.register
def _(parts: GaussianComponents, x: Tensor, chosen: Tensor, generator: torch.Generator | None) -> Tensor:
    if not bool(x.isnan().any()):
        return x
    # The component is known: the others have weight 0.
    sure = torch.nn.functional.one_hot(chosen.to(x.device), parts.components).mT.double().log()
    seed = None if generator is None else int(torch.randint(2**62, (1,), generator=generator).item())
    return impute(parts, lambda rows: sure, x, 1, seed)[0]


@embedded.register
def _(parts: FeatureComponents, x: Tensor) -> Tensor:
    return parts.embedding(x)
