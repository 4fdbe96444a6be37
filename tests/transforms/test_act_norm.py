"""ActNorm: the start from data, once, and what it does with channels that do not vary."""

import numpy as np
import pytest
import torch

from logpx.distributions import Flow, StandardNormal
from logpx.errors import DataError
from logpx.storage import load, save
from logpx.transforms import ActNorm, Affine, Chain


def test_starts_as_the_identity():
    act_norm = ActNorm((3, 4, 2))
    x = torch.randn(5, 3, 4, 2)
    z, ladj = act_norm.forward(x)
    assert torch.equal(z, x)
    assert not ladj.any()


def test_each_feature_of_a_vector_is_standardized():
    x = torch.randn(2, 250, 3, dtype=torch.float64) * torch.tensor([3.0, 0.1, 1e-6]) + 7.0
    act_norm = ActNorm(3).double()
    act_norm.initialise(x)
    rows = x.reshape(-1, 3).numpy()
    np.testing.assert_allclose(act_norm.shift.detach(), rows.mean(0), rtol=1e-12)
    np.testing.assert_allclose(act_norm.log_scale.detach(), np.log(rows.std(0)), rtol=1e-9)


def test_each_channel_of_an_image_is_standardized_over_rows_and_pixels():
    x = torch.randn(50, 3, 4, 5, dtype=torch.float64) * torch.tensor([3.0, 0.1, 40.0]).view(3, 1, 1)
    act_norm = ActNorm((3, 4, 5)).double()
    z = act_norm.initialise_and_map(x).detach().numpy()
    np.testing.assert_allclose(z.mean((0, 2, 3)), 0.0, atol=1e-12)
    np.testing.assert_allclose(z.std((0, 2, 3)), 1.0, rtol=1e-12)
    assert {parameter.numel() for parameter in act_norm.parameters()} == {3}
    ladj = act_norm.forward(x)[1]
    expected = -20 * np.log(x.numpy().std((0, 2, 3))).sum()
    np.testing.assert_allclose(ladj.detach(), np.full(50, expected), rtol=1e-12)


def test_second_initialisation_does_nothing():
    act_norm = ActNorm(2)
    act_norm.initialise(torch.randn(50, 2))
    before = [parameter.clone() for parameter in act_norm.parameters()]
    act_norm.initialise(9.0 * torch.randn(50, 2) + 3.0)
    assert all(torch.equal(a, b) for a, b in zip(before, act_norm.parameters(), strict=True))


@pytest.mark.parametrize("initialised", [False, True])
def test_flag_survives_save_and_load(tmp_path, initialised):
    act_norm = ActNorm((2, 3, 3))
    x = 4.0 * torch.randn(20, 2, 3, 3) + 1.0
    if initialised:
        act_norm.initialise(x)
    save(Flow(StandardNormal((2, 3, 3)), Chain([act_norm, Affine((2, 3, 3))])), tmp_path / "model")
    loaded = load(tmp_path / "model")
    before = loaded.log_prob(x)
    loaded.initialise(x * 10.0)
    assert torch.equal(loaded.log_prob(x), before) == initialised


def test_initialisation_by_a_flow_uses_rows_as_earlier_maps_leave_them():
    first = Affine(2)
    with torch.no_grad():
        first.shift.fill_(5.0)
    act_norm = ActNorm(2)
    Flow(StandardNormal(2), Chain([first, act_norm])).initialise(x := torch.randn(100, 2))
    torch.testing.assert_close(act_norm.shift.detach(), x.mean(0) - 5.0, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6, 1e-42])
def test_constant_channel_is_only_shifted(value):
    x = torch.randn(20, 2, 3, 3)
    x[:, 1] = value
    act_norm = ActNorm((2, 3, 3))
    z = act_norm.initialise_and_map(x)
    assert act_norm.log_scale[1].item() == 0.0
    torch.testing.assert_close(z[:, 1], torch.zeros(20, 3, 3))


def test_single_row_stays_finite():
    act_norm = ActNorm(3)
    x = torch.tensor([[1.0, -20.0, 0.1]])
    z = act_norm.initialise_and_map(x)
    torch.testing.assert_close(z, torch.zeros(1, 3))
    assert act_norm.initialised
    torch.testing.assert_close(act_norm.inverse(z)[0], x)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (torch.empty(0, 2), "no rows"),
        (torch.tensor([[0.0, 1.0], [0.0, torch.inf]]), "not finite"),
        (torch.tensor([[0.0, torch.nan]]), "not finite"),
    ],
)
def test_rows_that_give_no_start(rows, message):
    act_norm = ActNorm(2)
    with pytest.raises(DataError, match=message):
        act_norm.initialise(rows)
    assert not act_norm.initialised
    assert not any(parameter.any() for parameter in act_norm.parameters())


def test_initialisation_records_no_graph_and_parameters_stay_trainable():
    act_norm = ActNorm(2)
    act_norm.initialise(torch.randn(50, 2))
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in act_norm.parameters())
    act_norm.forward(torch.randn(5, 2))[0].square().sum().backward()
    assert all(parameter.grad.any() for parameter in act_norm.parameters())
