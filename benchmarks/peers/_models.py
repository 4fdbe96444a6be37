"""The same flows built with logpx and with its peers: equal layers, widths, bins and activations."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from logpx import flows

KINDS = ("RealNVP", "MAF", "NSF coupling", "NSF autoregressive")


@dataclass(frozen=True)
class Shape:
    """The size of a flow."""

    features: int
    layers: int
    hidden: tuple[int, ...]
    bins: int


@dataclass(frozen=True)
class Model:
    """What is timed of a library's flow."""

    module: nn.Module
    log_prob: Callable[[Tensor], Tensor]
    sample: Callable[[int], Any]

    @property
    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.module.parameters() if parameter.requires_grad)


class WithoutContext(nn.Module):
    """A net that is called with a context, and has none."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self.net(x)


def logpx_model(kind: str, shape: Shape) -> Model:
    build = {
        "RealNVP": lambda: flows.RealNVP(shape.features, shape.layers, shape.hidden),
        "MAF": lambda: flows.MAF(shape.features, shape.layers, shape.hidden),
        "NSF coupling": lambda: flows.NSF(
            shape.features, False, shape.layers, shape.bins, hidden=shape.hidden
        ),
        "NSF autoregressive": lambda: flows.NSF(
            shape.features, True, shape.layers, shape.bins, hidden=shape.hidden
        ),
    }[kind]
    flow = build()
    return Model(flow, flow.log_prob, flow.sample)


def zuko_model(kind: str, shape: Shape) -> Model:
    zuko = importlib.import_module("zuko")
    common = {
        "features": shape.features,
        "transforms": shape.layers,
        "hidden_features": shape.hidden,
    }
    build = {
        "RealNVP": lambda: zuko.flows.RealNVP(**common),
        "MAF": lambda: zuko.flows.MAF(**common),
        "NSF coupling": lambda: zuko.flows.NSF(**common, bins=shape.bins, passes=2),
        "NSF autoregressive": lambda: zuko.flows.NSF(**common, bins=shape.bins),
    }[kind]
    flow = build()
    return Model(flow, lambda x: flow().log_prob(x), lambda n: flow().sample((n,)))


def nflows_model(kind: str, shape: Shape) -> Model:
    transforms = importlib.import_module("nflows.transforms")
    nets = importlib.import_module("nflows.nn.nets")
    base = importlib.import_module("nflows.distributions.normal")
    flow_class = importlib.import_module("nflows.flows.base").Flow
    if len(set(shape.hidden)) > 1:
        raise NotImplementedError("nets of nflows have layers of one width")
    splines = {
        "num_bins": shape.bins,
        "tails": "linear",
        "tail_bound": 5.0,
    }
    masked = {
        "features": shape.features,
        "hidden_features": shape.hidden[0],
        "num_blocks": len(shape.hidden) - 1,
        "use_residual_blocks": False,
    }
    coupling = {
        "RealNVP": (transforms.AffineCouplingTransform, {}),
        "NSF coupling": (transforms.PiecewiseRationalQuadraticCouplingTransform, splines),
    }
    autoregressive = {
        "MAF": (transforms.MaskedAffineAutoregressiveTransform, {}),
        "NSF autoregressive": (
            transforms.MaskedPiecewiseRationalQuadraticAutoregressiveTransform,
            splines,
        ),
    }
    layers = []
    for index in range(shape.layers):
        if kind in coupling:
            mask = torch.ones(shape.features)
            mask[: shape.features // 2] = -1.0
            layer, options = coupling[kind]
            layers.append(
                layer(
                    mask if index % 2 else -mask,
                    lambda ins, outs: WithoutContext(
                        nets.MLP((ins,), (outs,), list(shape.hidden), activation=torch.relu)
                    ),
                    **options,
                )
            )
        else:
            layer, options = autoregressive[kind]
            layers += [layer(**masked, **options), transforms.ReversePermutation(shape.features)]
    flow = flow_class(transforms.CompositeTransform(layers), base.StandardNormal([shape.features]))
    return Model(flow, flow.log_prob, flow.sample)


def normflows_model(kind: str, shape: Shape) -> Model:
    normflows = importlib.import_module("normflows")
    if kind != "NSF coupling":
        raise NotImplementedError("only its coupling spline is comparable")
    layers = [
        normflows.flows.CoupledRationalQuadraticSpline(
            shape.features, 1, shape.hidden[0], num_bins=shape.bins, tail_bound=5, reverse_mask=index % 2 == 1
        )
        for index in range(shape.layers)
    ]
    flow = normflows.NormalizingFlow(normflows.distributions.DiagGaussian(shape.features, False), layers)
    return Model(flow, flow.log_prob, lambda n: flow.sample(n)[0])


LIBRARIES: dict[str, Callable[[str, Shape], Model]] = {
    "logpx": logpx_model,
    "zuko": zuko_model,
    "nflows": nflows_model,
    "normflows": normflows_model,
}
