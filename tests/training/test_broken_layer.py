"""The layer that turns finite numbers into others is named: by itself, and by a fit."""

import pytest
import torch
from torch import nn

import logpx
from logpx.distributions.likelihoods import NormalLikelihood
from logpx.errors import DivergedError
from logpx.latent import VAE
from logpx.training.broken_layer import broken_layer


class Root(nn.Module):
    def forward(self, x):
        return x.sqrt()


def test_the_first_layer_is_named_and_not_what_follows():
    net = nn.Sequential(nn.Linear(2, 2), Root(), nn.Linear(2, 1))
    assert broken_layer(net, lambda: net(torch.tensor([[-9.0, -9.0], [9.0, 9.0]]))) == "1 (Root)"
    assert not any(module._forward_hooks for module in net.modules())


def test_a_sound_net_is_not_blamed():
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    assert broken_layer(net, lambda: net(torch.zeros(1, 2))) is None
    assert broken_layer(net, lambda: net(torch.full((1, 2), torch.nan))) is None


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_a_fit_names_the_layer_of_a_net_of_ones_own(part: str):
    class Breaks(nn.Module):
        def forward(self, x):
            return x / 0.0 * 0.0

    sizes = {"encoder": (3, 4), "decoder": (2, 3)}
    nets = {part: nn.Sequential(nn.Linear(*sizes[part]), Breaks())}
    vae = VAE(NormalLikelihood(3), latent=2, hidden=(8,), **nets)
    with pytest.raises(DivergedError, match=rf"{part}\.1 \(Breaks\)"):
        logpx.fit(vae, torch.randn(200, 3), max_steps=20, progress=False)
