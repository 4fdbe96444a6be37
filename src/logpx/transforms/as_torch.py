"""Maps as transforms of torch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from logpx.errors import UsageError

__all__ = ["TorchTransform"]


class TorchTransform(torch.distributions.Transform):
    """A map, given a context or none, with the interface of torch's transforms.

    `logpx.transforms.Transform.torch_transform` returns it. Its direction is that of `Transform.forward`,
    from data to noise; ``.inv`` is the other one, which torch's ``TransformedDistribution`` needs to turn
    noise into data. The last value and its ladj are kept, so that a density of draws costs one evaluation.

    Parameters
    ----------
    transform
        A map of logpx.
    context
        Shape ``(*rows, c)``, of rows that broadcast with those of x; None for an unconditional map.
    cache_size
        1 to keep the last value, 0 not to.

    Raises
    ------
    UsageError
        If a direction has no named domain.

    Examples
    --------
    >>> from torch.distributions import Independent, Normal, TransformedDistribution
    >>> from logpx import flows
    >>> flow = flows.MAF(features=2, layers=2)
    >>> normal = Independent(Normal(torch.zeros(2), 1.0), 1)
    >>> same = TransformedDistribution(normal, [flow.transform.torch_transform().inv])
    >>> x = torch.zeros(3, 2)
    >>> bool(torch.allclose(same.log_prob(x), flow.log_prob(x)))
    True
    """

    bijective = True

    def __init__(self, transform: Any, context: Tensor | None = None, cache_size: int = 1) -> None:
        super().__init__(cache_size)
        if (context is None) != (transform.context_features == 0):
            raise UsageError(
                f"{type(transform).__name__} takes {transform.context_features} context features",
                fix="pass a context of that size, or none to a map that takes none",
            )
        self.transform, self.context = transform, context
        self._last: tuple[Tensor | None, Tensor | None, Tensor | None] = (None, None, None)

    def _domain(self, name: str) -> Any:
        found = getattr(self.transform, name)
        if found is None:
            raise UsageError(
                f"the {name} of {type(self.transform).__name__} has no name in torch",
                fix="use the map itself, whose ladj is minus infinity outside",
            )
        return found

    @property
    def domain(self) -> Any:  # type: ignore[override]
        """What the map takes."""
        return self._domain("domain")

    @property
    def codomain(self) -> Any:  # type: ignore[override]
        """What the map returns."""
        return self._domain("codomain")

    def _call(self, x: Tensor) -> Tensor:
        z, ladj = self.transform.forward(x, self.context)
        self._keep(x, z, ladj)
        return z  # type: ignore[no-any-return]

    def _inverse(self, y: Tensor) -> Tensor:
        x, ladj = self.transform.inverse(y, self.context)
        self._keep(x, y, -ladj)
        return x  # type: ignore[no-any-return]

    def _keep(self, x: Tensor, y: Tensor, ladj: Tensor) -> None:
        if self._cache_size:
            self._last = (x, y, ladj)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the ladj of the direction from x to y in nats, one number per row."""
        if x is self._last[0] and y is self._last[1] and self._last[2] is not None:
            return self._last[2]
        ladj: Tensor = self.transform.forward(x, self.context)[1]
        return ladj

    def call_and_ladj(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the value and the ladj, from one evaluation."""
        y = self(x)
        return y, self.log_abs_det_jacobian(x, y)

    def with_cache(self, cache_size: int = 1) -> TorchTransform:
        """Return the same map that keeps its last value, or does not."""
        if cache_size == self._cache_size:
            return self
        return TorchTransform(self.transform, self.context, cache_size)

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()  # type: ignore[no-untyped-call]
        return {**state, "_last": (None, None, None), "_cached_x_y": (None, None)}

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, TorchTransform)
            and self.transform is other.transform
            and self.context is other.context
        )

    def __hash__(self) -> int:
        return hash((id(self.transform), id(self.context)))

    def __repr__(self) -> str:
        return f"{type(self.transform).__name__}.torch_transform()"
