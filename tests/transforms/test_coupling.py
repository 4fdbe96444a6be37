"""Coupling layers: which part is kept, nets of one's own, and features that cannot be split."""

import pytest
import torch

from logpx.errors import UsageError
from logpx.nets import MLP
from logpx.transforms import AffineFunction, Autoregressive, Coupling, ShiftFunction


@pytest.mark.parametrize(
    ("features", "flip", "kept"), [(5, False, [0, 1]), (5, True, [3, 4]), (4, True, [2, 3])]
)
def test_one_part_is_kept(features, flip, kept):
    coupling = Coupling(features, hidden=(8,), flip=flip)
    with torch.no_grad():
        for parameter in coupling.parameters():
            parameter.normal_()
    x = torch.randn(10, features)
    unchanged = (coupling.forward(x)[0] == x).all(0).nonzero().flatten().tolist()
    assert unchanged == kept


def test_an_untrained_layer_is_the_identity():
    x = torch.randn(10, 3)
    for univariate in (AffineFunction(), ShiftFunction()):
        z, ladj = Coupling(3, univariate).forward(x)
        assert torch.equal(z, x)
        assert not ladj.any()


def test_a_net_of_ones_own():
    class Constant(torch.nn.Module):
        def forward(self, kept, context):
            return torch.tensor([2.0, 0.0, 3.0, 0.0]).expand(*kept.shape[:-1], 4)

    z, ladj = Coupling(3, net=Constant()).forward(torch.zeros(5, 3))
    assert z.tolist() == [[0.0, -2.0, -3.0]] * 5
    assert not ladj.any()


def test_the_default_net_is_described_by_the_layers_own_arguments():
    coupling = Coupling(4, ShiftFunction(), hidden=(3,), context=2)
    assert isinstance(coupling.net, MLP)
    assert [tuple(p.shape) for p in coupling.net.parameters()] == [(3, 2), (3,), (3, 2), (2, 3), (2,), (2, 2)]


def test_one_feature_cannot_be_split():
    with pytest.raises(UsageError, match="two features") as error:
        Coupling(1)
    assert "autoregressive" in error.value.fix
    assert Coupling(1, context=2).context_features == 2


def test_both_directions_cost_one_evaluation_of_the_net():
    coupling = Coupling(6)
    calls = []
    coupling.net.register_forward_hook(lambda *_: calls.append(1))
    coupling.inverse(coupling.forward(torch.zeros(5, 6))[0])
    assert len(calls) == 2


@pytest.mark.parametrize("layer", [Coupling, Autoregressive])
def test_a_net_of_another_input_size_is_said(layer) -> None:
    net = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.ReLU(), torch.nn.Linear(8, 8))
    with pytest.raises(UsageError, match=r"the net fails on a tensor of shape \(5, \d\)"):
        layer(4, AffineFunction(), net=net).forward(torch.zeros(5, 4))
