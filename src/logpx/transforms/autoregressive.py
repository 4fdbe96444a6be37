"""Autoregressive layers: the map of each feature depends on the features before it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from logpx.arguments import check_instance
from logpx.errors import UsageError
from logpx.nets.causal import IncrementalConditioner
from logpx.nets.made import MADE
from logpx.nets.signatures import called, takes_context
from logpx.transforms.base import Transform, as_features, checks_event
from logpx.transforms.compilation import never_compiled
from logpx.transforms.fixed_point import Certificate
from logpx.transforms.implicit import differentiable_inverse
from logpx.transforms.jacobi import check_causal, jacobi_inverse
from logpx.transforms.univariate import AffineFunction, Univariate

__all__ = ["Autoregressive"]

_ROWS_AT_ONCE = 2048


class Autoregressive(Transform):
    r"""Masked autoregressive map, :math:`z_i = f(x_i; \theta_i(x_{<i}, c))`.

    `forward` costs one evaluation of the net. `inverse` finds the features in order, and computes each
    hidden unit once, if the net is an `logpx.nets.IncrementalConditioner`, as the default is. With any
    other causal net it finds all features together by Jacobi iteration, and can be differentiated once;
    `solve` also returns the certificate.

    Parameters
    ----------
    features
        The number of features.
    univariate
        The function applied to every feature; affine by default.
    hidden
        Widths of the hidden layers of the masked net.
    context
        The number of context features.
    activation
        One of `logpx.nets.ACTIVATIONS`.
    net
        Your own causal conditioner instead of the default `logpx.nets.MADE`: called as ``net(x, context)``,
        it returns ``features × univariate.parameters`` numbers per row, and those of a feature depend only on
        the features before it. `inverse` refuses a net that is not causal; `forward` does not check.

    References
    ----------
    Papamakarios, Pavlakou and Murray 2017, Masked Autoregressive Flow for Density Estimation,
    equations 3 to 7.
    https://arxiv.org/abs/1705.07057

    Examples
    --------
    >>> import torch
    >>> layer = Autoregressive(3, hidden=(8,))
    >>> z, ladj = layer.forward(torch.ones(4, 3))
    >>> z.shape, ladj.shape
    (torch.Size([4, 3]), torch.Size([4]))
    """

    def __init__(
        self,
        features: int,
        univariate: Univariate | None = None,
        hidden: Sequence[int] = (64, 64),
        context: int = 0,
        *,
        activation: str = "relu",
        net: nn.Module | None = None,
    ) -> None:
        features = as_features(features)
        super().__init__(features, context)
        self.univariate = AffineFunction() if univariate is None else univariate
        check_instance("univariate", self.univariate, Univariate, "AffineFunction()")
        if net is None:
            net = MADE(features, self.univariate.parameters, hidden, context, activation=activation)
        check_instance("net", net, nn.Module, "MADE(3, 2)")
        self.net = net
        self._with_context = takes_context(net, context)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map data to noise with one evaluation of the net."""
        z, ladj = self.univariate(x, self._parameters_of(x, context))
        return z, ladj.sum(-1)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map noise to data: in one sweep that costs about one evaluation, or by iteration.

        Raises
        ------
        UsageError
            If a net of your own is not causal.
        NotConvergedError
            If the iteration does not reach rounding level.
        """
        if not isinstance(self.net, IncrementalConditioner):
            x, ladj, _ = self.solve(z, context)
            return x, ladj
        if len(z) > _ROWS_AT_ONCE and z.dim() == 2 and not torch.is_grad_enabled():
            # What is known of so many rows stays near the processor.
            contexts = [context] * math.ceil(len(z) / _ROWS_AT_ONCE)
            if context is not None and context.dim() == 2 and len(context) == len(z):
                contexts = list(torch.split(context, _ROWS_AT_ONCE))
            parts = [self._sweep(*each) for each in zip(torch.split(z, _ROWS_AT_ONCE), contexts, strict=True)]
            return torch.cat([x for x, _ in parts]), torch.cat([ladj for _, ladj in parts])
        return self._sweep(z, context)

    def _sweep(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        assert isinstance(self.net, IncrementalConditioner)
        if z.dim() == 2:
            # One feature of all rows is taken at a time.
            z = z.t().contiguous().t()
        ladjs: list[Tensor] = []

        def solve(feature: int, params: Tensor) -> Tensor:
            function = self.univariate.at(feature)
            x, ladj = function(z[..., feature], params[..., : function.parameters], inverse=True)
            ladjs.append(ladj)
            return x

        x, _ = self.net.sequential(solve, z.shape[:-1], context)
        return x, torch.stack(ladjs).sum(0)

    # The number of sweeps depends on the data, which no compiled graph can express.
    @never_compiled
    @checks_event
    def solve(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor, Certificate]:
        """Invert by Jacobi iteration, whatever the net; also return the certificate.

        Costs the iterations, one evaluation of the net, and one more with a row per feature, which checks
        that the net is causal.

        Raises
        ------
        UsageError
            If the net is not causal.
        NotConvergedError
            If the residual of a row does not reach rounding level in D + 1 evaluations.
        """
        if z.numel() and not z.is_meta:
            one = None if context is None else context.reshape(-1, context.shape[-1])[0]
            check_causal(self._parameters_of, z.reshape(-1, z.shape[-1])[0], one)
        x, certificate = jacobi_inverse(self._parameters_of, self.univariate, z, context)
        sources = (context, *self.parameters())
        x, ladj = differentiable_inverse(
            lambda x: self.univariate(x, self._parameters_of(x, context)), x, z, sources, event_dims=1
        )
        return x, ladj, certificate

    def _parameters_of(self, x: Tensor, context: Tensor | None) -> Tensor:
        params = called("net", self.net, x, *([context] if self._with_context else []))
        if params.numel() != x.numel() * self.univariate.parameters:
            raise UsageError(
                f"the net returned shape {tuple(params.shape)} for rows of shape {tuple(x.shape)}",
                fix=f"return {self.univariate.parameters} numbers per feature",
            )
        shape = (*x.shape, self.univariate.parameters)
        return params if params.shape == shape else params.reshape(shape)
