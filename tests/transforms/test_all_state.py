"""Every transform: description and state dict are the whole truth, and every parameter is trained."""

import json

import torch

from logpx import nets
from logpx.configuration import build, describe
from logpx.distributions import Flow, StandardNormal


def rebuilt(module, device, registry):
    """Return a freshly built object of the same description, as JSON carries it, with the same state."""
    with torch.device(device):
        fresh = build(json.loads(json.dumps(describe(module))), registry)
    assert {tensor.device.type for tensor in fresh.state_dict().values()} <= {device}
    fresh.load_state_dict(module.state_dict(), strict=True, assign=device == "meta")
    return fresh


def test_a_rebuilt_object_is_bit_identical(case, registry):
    transform = case.make(torch.float32)
    x = case.rows(transform, 16, dtype=torch.float32)
    context = case.context(transform, 16, dtype=torch.float32)
    for device in ("cpu", "meta"):
        fresh = rebuilt(transform, device, registry)
        flow, twin = (Flow(StandardNormal(map.event_shape), map) for map in (transform, fresh))
        assert torch.equal(flow.log_prob(x, context), twin.log_prob(x, context))
        assert torch.equal(flow.sample(16, context, seed=4), twin.sample(16, context, seed=4))


def test_a_rebuilt_object_is_not_initialised_again(case, registry):
    transform = case.make(torch.float32)
    fresh = rebuilt(transform, "cpu", registry)
    rows = case.rows(transform, 16, dtype=torch.float32)
    # Other rows than it was initialised on, inside the same domain.
    with torch.no_grad():
        fresh.initialise(rows.flip(0)[:7], case.context(transform, 7, dtype=torch.float32))
    state = transform.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in fresh.state_dict().items())


def test_the_description_does_not_change_with_the_state(case):
    assert describe(case.make()) == describe(case.build())


def masked_entirely(transform):
    """Return the names of weights whose mask leaves nothing, as the first layer's of a net of one feature."""
    return {
        f"{prefix}.{name}"
        for prefix, net in transform.named_modules()
        if isinstance(net, nets.MADE)
        for name, mask in (("layers.0.weight", net.mask_0), ("skip", net.skip_mask))
        if not mask.any()
    }


def test_every_parameter_receives_a_gradient(case, direction):
    transform = case.make()
    inputs, context = case.inputs(transform, direction, 256), case.context(transform, 256)
    y, ladj = getattr(transform, direction)(inputs, context)
    parameters = dict(transform.named_parameters())
    if not parameters:
        assert not y.requires_grad
        return
    (y.square().sum() + ladj.sum()).backward()
    unused = {
        name for name, parameter in parameters.items() if parameter.grad is None or not parameter.grad.any()
    }
    assert unused == {name for name in parameters if name in masked_entirely(transform)} | {
        name for name, parameter in parameters.items() if not parameter.numel()
    }
