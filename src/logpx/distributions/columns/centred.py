"""A column of numbers of which something is known beforehand: logistic distributions around a prediction."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from logpx.arguments import check_count
from logpx.distributions.columns.numbers import NumberColumn

__all__ = ["CentredColumn"]

_STEPS = 50
_LEAST_SHARE = 1e-3
# Of a component around the prediction, relative to the median of all.
_LEAST_WIDTH, _MOST_WIDTH = 0.2, 50.0


class CentredColumn(NumberColumn):
    r"""Numbers with a prediction m of each and of its spread s, in the units of the column.

    To the components of a `NumberColumn` come others at :math:`m + s (c_k + \delta_k)` of scale
    :math:`s w_k`, whose :math:`\delta_k`, :math:`w_k` and weights a network tilts. So the density is as
    narrow as the prediction is good, and no narrower.

    Parameters
    ----------
    step, lower, upper, offset, atoms, counted, components, uniform, periods
        As in `NumberColumn`.
    near
        The number of components around the prediction.

    Examples
    --------
    >>> x = torch.linspace(-1.0, 1.0, 101, dtype=torch.float64)
    >>> column = CentredColumn(components=3, near=2)
    >>> column.initialise(x)
    >>> u = column.units(x)
    >>> column.initialise_near(x, torch.stack([u + 0.1, torch.full_like(u, -2.0)], 1))
    >>> raw = torch.tensor([[0.0] * column.outputs + [0.3, -2.0]])
    >>> column.log_prob(raw, x[50:51]).shape
    torch.Size([1])
    """

    predictions = 2
    near_centres: Tensor
    near_widths: Tensor
    logits: Tensor

    def __init__(
        self,
        step: float | None = None,
        lower: float | None = None,
        upper: float | None = None,
        *,
        offset: float = 0.0,
        atoms: Sequence[float] = (),
        counted: Sequence[float] = (),
        components: int = 10,
        uniform: bool = True,
        periods: Sequence[float] = (),
        near: int = 8,
    ) -> None:
        super().__init__(
            step,
            lower,
            upper,
            offset=offset,
            atoms=atoms,
            counted=counted,
            components=components,
            uniform=uniform,
            periods=periods,
        )
        check_count("near", near)
        self.near = near
        self.outputs += 3 * near
        self.register_buffer("near_centres", torch.linspace(-1, 1, near, dtype=torch.float64))
        self.register_buffer("near_widths", torch.full((near,), 0.5, dtype=torch.float64))
        self.register_buffer("logits", torch.zeros(components + near, dtype=torch.float64))

    def out_of_range(self) -> str | None:
        """Return the name of a weight that no values can give, or None."""
        return super().out_of_range() if bool((self.near_widths > 0.0).all()) else "near_widths"

    @torch.no_grad()
    def initialise_near(self, x: Tensor, predictions: Tensor) -> None:
        """Set the components around the prediction from its errors, and their weights by the likelihood.

        Parameters
        ----------
        x
            The column's training values, shape ``(n,)``, after `initialise`.
        predictions
            For each of them m and log s, made without it: shape ``(n, 2)``, float64; NaN for none.
        """
        chosen = (self._atom(x) < 0) & self._inside(x) & ~predictions.isnan().any(1)
        if int(chosen.sum()) < 2:
            return
        x, predictions = x[chosen], predictions[chosen]
        errors = torch.sort((self.units(x) - predictions[:, 0]) * torch.exp(-predictions[:, 1]))[0]
        places = (torch.arange(self.near, dtype=torch.float64) + 0.5) / self.near * (len(errors) - 1)
        self.near_centres.copy_(errors[places.round().long()])
        low, high = (
            errors[(places + shift * len(errors) / self.near).round().long().clamp(0, len(errors) - 1)]
            for shift in (-1, 1)
        )
        widths = (high - low) / 4
        middle = float(widths.median()) or 1.0
        self.near_widths.copy_(widths.clamp(_LEAST_WIDTH * middle, _MOST_WIDTH * middle))
        self._weigh(x, predictions)

    def _weigh(self, x: Tensor, predictions: Tensor) -> None:
        """Find the weights of the two sets of components by EM."""
        components = self.components + self.near
        raw = torch.cat([x.new_zeros(len(x), self.outputs), predictions], 1)
        each = []
        for only in (slice(None, self.components), slice(self.components, None)):
            self.logits.fill_(-math.inf)
            self.logits[only] = 0.0
            each.append(self._continuum(raw, x))
        log_prob = torch.stack(each, 1)
        log_prob = log_prob[log_prob.isfinite().all(1)]
        share = torch.full((2,), 0.5, dtype=torch.float64)
        for _ in range(_STEPS if len(log_prob) else 0):
            share = torch.softmax(log_prob + share.log(), 1).mean(0).clamp_min(_LEAST_SHARE)
        counts = torch.tensor([self.components, self.near], dtype=torch.float64)
        logits = torch.log(share / share.sum() / counts).repeat_interleave(counts.long())
        self.logits.copy_(logits[:components])

    def _mixture(self, raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        numbers, (place, log_spread) = raw[:, : self.outputs], raw[:, self.outputs :].unbind(1)
        parts = numbers[:, self.gated :].reshape(len(raw), 3, -1)
        logits = parts[:, 0] + self.logits.to(raw.dtype)
        centres, log_scales = self._marginal(parts[:, 1, : self.components], parts[:, 2, : self.components])
        shifts, narrowing = parts[:, 1:, self.components :].unbind(1)
        near = place[:, None] + log_spread.exp()[:, None] * (self.near_centres.to(raw.dtype) + shifts)
        widths = self.near_widths.log().to(raw.dtype) + log_spread[:, None]
        near_scales = self._bounded(widths, narrowing, self._widest.log().to(raw.dtype))
        return (
            torch.log_softmax(logits, -1),
            torch.cat([centres, self._near_values(near)], 1),
            torch.cat([log_scales, near_scales], 1),
        )
