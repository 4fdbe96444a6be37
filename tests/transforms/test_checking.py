"""Checks of a map of one's own: right ones pass, and mistakes of each kind are found, with size and place."""

import math
import re

import pytest
import torch
from torch import nn

from logpx import flows, transforms
from logpx.errors import UsageError
from logpx.transforms import Affine, Chain, Logit, MintLayer, Tanh, Transform, Univariate


class Right(Transform):
    """A trained scale of the first feature and a shift of the second that depends on it."""

    def __init__(self, features=2, context=0):
        super().__init__(features, context)
        self.log_scale = nn.Parameter(torch.zeros(features))
        self.weight = nn.Parameter(torch.zeros(()))

    def shift(self, kept, context):
        more = 0.0 if context is None else context[..., 0]
        return self.weight * torch.sin(kept) + more

    def forward(self, x, context=None):
        first, second = x.unbind(-1)
        z = torch.stack([first, second + self.shift(first, context)], -1) * self.log_scale.exp()
        return z, self.log_scale.sum().expand(x.shape[:-1])

    def inverse(self, z, context=None):
        first, second = (z * torch.exp(-self.log_scale)).unbind(-1)
        x = torch.stack([first, second - self.shift(first, context)], -1)
        return x, -self.log_scale.sum().expand(z.shape[:-1])


class NoSign(Right):
    def inverse(self, z, context=None):
        x, ladj = super().inverse(z, context)
        return x, -ladj


class Off(Right):
    def forward(self, x, context=None):
        z, ladj = super().forward(x, context)
        return z, ladj + 0.25


class Detached(Right):
    def forward(self, x, context=None):
        z, ladj = super().forward(x, context)
        return z, ladj.detach()


class Forgetful(Right):
    """The inverse forgets the shift of one feature."""

    def inverse(self, z, context=None):
        return z * torch.exp(-self.log_scale), -self.log_scale.sum().expand(z.shape[:-1])


class Mixing(Right):
    """Rows are centred on each other."""

    def forward(self, x, context=None):
        return super().forward(x - x.mean() if x.dim() > 1 else x, context)


class Double(Right):
    def forward(self, x, context=None):
        z, ladj = super().forward(x, context)
        return z.double(), ladj


class NoInverse(Right):
    def inverse(self, z, context=None):
        raise NotImplementedError


class Deaf(Right):
    def shift(self, kept, context):
        return self.weight * torch.sin(kept)


class PerFeature(Right):
    def forward(self, x, context=None):
        z, _ = super().forward(x, context)
        return z, self.log_scale.expand(x.shape)


class Rough(Right):
    """The shift goes through single precision."""

    def inverse(self, z, context=None):
        x, ladj = super().inverse(z, context)
        return x.half().to(z.dtype), ladj


def failures(report):
    return {finding.name: finding.message for finding in report.failures}


@pytest.mark.parametrize("context", [0, 1])
def test_a_right_map_passes(context):
    transform = Right(context=context)
    before = {name: tensor.clone() for name, tensor in transform.state_dict().items()}
    state = torch.get_rng_state()
    report = transforms.check(transform)
    assert report.ok
    assert bool(report)
    assert "all checks hold" in str(report)
    assert "lower triangular" in str(report)
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[name], tensor) for name, tensor in transform.state_dict().items())
    assert transform.training
    assert ("the context reaches 1 of 2 outputs" in str(report)) == bool(context)


@pytest.mark.parametrize(
    ("wrong", "name", "message"),
    [
        (NoSign(), "ladj of inverse", "sign is that of the other direction"),
        (NoSign(), "round trip", "add up to"),
        (Off(), "ladj of forward", "off by 0.25 nats at row"),
        (Off(), "ladj of forward", "same amount in all rows"),
        (Detached(), "gradients of forward", "the ladj with respect to parameters is 0 .*does not reach"),
        (Forgetful(), "round trip", r"misses by .* at row \d+, x\[1\]"),
        (Mixing(), "rows", "row 0 alone differs"),
        (Double(), "single precision", "float64"),
        (NoInverse(), "round trip", "not implemented"),
        (Deaf(context=1), "Jacobian", "the context reaches no output"),
        (PerFeature(), "shapes", r"ladj of shape \(16, 2\), where \(16, 2\) and \(16,\) were expected"),
        (Rough(), "round trip", "misses by"),
    ],
)
def test_a_mistake_is_found_with_its_size_and_place(wrong, name, message):
    report = transforms.check(wrong)
    assert not report.ok
    found = failures(report)
    assert name in found, str(report)
    assert re.search(message, found[name]), str(report)
    assert f"of {len(report.findings)} checks failed" in str(report)


def test_by_how_much_is_the_true_amount():
    class Cube(Transform):
        """z = x + x³, with a ladj that forgets the factor 3."""

        def forward(self, x, context=None):
            return x + x**3, torch.log1p(x**2).sum(-1)

        def inverse(self, z, context=None):
            raise NotImplementedError

    x = torch.tensor([[0.5], [2.0], [-1.0]], dtype=torch.float64)
    message = failures(transforms.check(Cube(1), x))["ladj of forward"]
    assert "row 1, x = (2)" in message
    right, wrong = math.log(13.0), math.log(5.0)
    for number in (right - wrong, wrong, right):
        assert f"{number:.4g}" in message


def test_maps_of_logpx_pass():
    inside = torch.rand(8, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for transform in (
        Tanh(2),
        Logit(2),
        Chain([Logit(2), Affine(2)]),
        flows.MAF(3, layers=2, hidden=(8,)).transform,
        MintLayer((1, 2, 2), hidden=2),
    ):
        assert transforms.check(transform), str(transforms.check(transform))
    assert transforms.check(Chain([Affine(2), Logit(2)]), inside * 0.5 + 0.25)
    assert transforms.check(flows.NSF(2, layers=1, hidden=(4,)))


def test_a_function_of_one_number_is_checked_in_a_layer():
    class Power(Univariate):
        """y = x e^a, with or without its log-derivative."""

        parameters = 1

        def __init__(self, right=True):
            self.right = right

        def __call__(self, x, params, inverse=False):
            a = -params[..., 0] if inverse else params[..., 0]
            return x * a.exp(), a if self.right else torch.zeros_like(a)

    assert transforms.check(Power())
    assert "ladj of forward" in failures(transforms.check(Power(right=False)))


def test_what_cannot_be_checked_is_refused():
    with pytest.raises(UsageError, match="a Linear, where a map was expected"):
        transforms.check(nn.Linear(2, 2))
    with pytest.raises(UsageError, match="domain of Chain has no name"):
        transforms.check(Chain([Affine(2), Logit(2)]))
    with pytest.raises(UsageError, match="rows is 0"):
        transforms.check(Affine(2), rows=0)


class WrongFarOut(Transform):
    """The identity, whose ladj is wrong where the first feature is above 5."""

    def forward(self, x, context=None):
        return x, 0.1 * (x[..., 0] > 5.0).to(x)

    def inverse(self, z, context=None):
        return z, -0.1 * (z[..., 0] > 5.0).to(z)


def test_the_ladj_is_checked_at_every_row_that_is_given():
    x = torch.randn(100, 2, generator=torch.Generator().manual_seed(0))
    assert transforms.check(WrongFarOut(2), x)
    x[97, 0] = 6.0
    found = {finding.name: finding.message for finding in transforms.check(WrongFarOut(2), x).failures}
    assert set(found) == {"ladj of forward", "ladj of inverse"}
    assert found["ladj of forward"].startswith("off by 0.1 nats at row 97, x = (6, ")
