"""The start on data: how far the rows go, and what is evaluated for it."""

from collections import Counter

import pytest
import torch

from logpx import flows
from logpx.transforms import (
    ActNorm,
    Affine,
    Autoregressive,
    Chain,
    Channels,
    Coupling,
    Inverse,
    MintLayer,
    MultiScale,
    ReversibleChain,
    Squeezed,
    Standardize,
)


@pytest.fixture
def evaluations(monkeypatch) -> Counter:
    """Count the evaluations of every kind of layer that has a net."""
    counted = Counter()

    def counting(kind, plain):
        def call(self, x, context=None):
            counted[kind.__name__] += 1
            return plain(self, x, context)

        return call

    for kind in (Coupling, Autoregressive, MintLayer):
        for direction in ("forward", "inverse"):
            monkeypatch.setattr(kind, direction, counting(kind, getattr(kind, direction)))
    return counted


def test_a_start_needs_no_data_twice(case):
    torch.manual_seed(1)
    transform = case.build()
    unset = [part for part in transform.modules() if isinstance(part, (ActNorm, Standardize))]
    assert transform.needs_data == bool(unset)
    transform.initialise(case.rows(transform, 64).float(), case.context(transform, 64, dtype=torch.float32))
    assert not transform.needs_data
    assert all(part.initialised for part in unset)


def test_a_start_is_that_of_every_layer_in_its_turn(case):
    """Stopping early changes nothing: the same buffers and parameters as with a whole pass."""
    built = []
    for method in ("initialise", "initialise_and_map"):
        torch.manual_seed(1)
        transform = case.build().double()
        rows = case.rows(transform, 64)
        image = getattr(transform, method)(rows, case.context(transform, 64))
        built.append(transform.state_dict())
    torch.testing.assert_close(image, transform.forward(rows, case.context(transform, 64))[0])
    assert all(torch.equal(tensor, built[1][name]) for name, tensor in built[0].items())


@pytest.mark.parametrize("kind", [flows.NICE, flows.RealNVP, flows.MAF, flows.IAF, flows.NSF, flows.MintNet])
def test_no_net_is_evaluated_for_the_start_of_a_vector_flow(kind, evaluations):
    flow = kind(4)
    flow.initialise(torch.randn(50, 4))
    assert not evaluations
    assert not flow.transform.needs_data


@pytest.mark.parametrize("recompute", [False, True])
def test_the_start_of_image_flows_ends_at_the_last_layer_that_needs_it(recompute, evaluations):
    images = torch.randn(20, 1, 8, 8)
    glow = flows.Glow((1, 8, 8), levels=2, steps=3, hidden=(4,), recompute=recompute)
    glow.initialise(images)
    # All of the first level; of the second one the steps before the last ActNorm; no prior.
    assert evaluations == {"Coupling": 3 + 2}
    evaluations.clear()
    real_nvp = flows.RealNVP((1, 8, 8), layers=4, levels=2, hidden=(4,), recompute=recompute)
    real_nvp.initialise(images)
    # Two on checkerboards and two on channels; none of the second level, which begins with its ActNorm.
    assert evaluations == {"Coupling": 4}
    assert not real_nvp.transform.needs_data
    evaluations.clear()
    for flow in (glow, real_nvp):
        flow.initialise(images)
    assert not evaluations


def test_a_start_within_any_container(evaluations):
    couplings = lambda shape: [Coupling(partition=Channels(shape), hidden=(4,)) for _ in range(3)]  # noqa: E731
    inner = ReversibleChain([Affine((4, 2, 2)), ActNorm((4, 2, 2)), *couplings((4, 2, 2))])
    shape = (2, 4, 4)
    first, *rest = couplings(shape)
    middle = Squeezed(MultiScale(inner, hidden=(4,)))
    chain = Chain([first, middle, *rest, Inverse(Chain([ActNorm(shape)]))])
    assert chain.needs_data
    chain.initialise(torch.randn(20, *shape))
    assert evaluations == {"Coupling": 1}
    assert not chain.needs_data
    assert not chain.transforms[-1].transform.transforms[0].initialised


def test_a_start_keeps_no_graph():
    flow = flows.RealNVP((1, 4, 4), layers=2, hidden=(4,), levels=2)
    x = torch.randn(10, 1, 4, 4, requires_grad=True)
    z = flow.transform.initialise_and_map(x)
    assert not z.requires_grad
