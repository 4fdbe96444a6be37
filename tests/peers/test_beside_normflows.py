"""normflows' maps and densities beside ours, with the same numbers. Skipped where it is not installed."""

import math

import pytest
import torch
from torch.nn import functional

from logpx.distributions import DiagonalNormal, Mixture
from logpx.transforms import Affine, Convolution1x1, DenseMatrix, Planar, Radial

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("double")]
CLOSE = {"atol": 1e-8, "rtol": 1e-8}
# The least slope of our planar and radial maps keeps them a hundredth away from folding.
SHARE = 0.99


def raw_of(ratio):
    """Return the free number by which our maps mean a ratio above -0.99."""
    return torch.log(torch.expm1(ratio / SHARE + 1.0)) - math.log(math.e - 1.0)


def test_planar_maps(normflows):
    theirs = normflows.flows.Planar((3,))
    w, u, b = theirs.w[0].detach(), theirs.u[0].detach(), theirs.b.detach()
    product = functional.softplus(w @ u) - 1.0
    bent = u + (product - w @ u) * w / w.square().sum()
    ours = Planar(3)
    with torch.no_grad():
        ours.weight.copy_(w)
        ours.bias.copy_(b[0])
        ours.shift.copy_(bent + (raw_of(product) - product) * w / w.square().sum())
    x = torch.randn(20, 3)
    for found, expected in zip(ours.forward(x), theirs(x), strict=True):
        torch.testing.assert_close(found, expected, **CLOSE)
    # Theirs has no inverse; ours undoes their map.
    torch.testing.assert_close(ours.inverse(theirs(x)[0])[0], x, atol=1e-7, rtol=1e-7)


def test_radial_maps(normflows):
    theirs = normflows.flows.Radial((3,))
    alpha = theirs.alpha.abs()
    beta = functional.softplus(theirs.beta) - alpha
    assert beta > -SHARE * alpha
    ours = Radial(3)
    with torch.no_grad():
        ours.centre.copy_(theirs.z_0[0])
        ours.log_alpha.copy_(alpha.log()[0])
        ours.raw_beta.copy_(raw_of(beta / alpha)[0])
    x = torch.randn(20, 3)
    for found, expected in zip(ours.forward(x), theirs(x), strict=True):
        torch.testing.assert_close(found, expected, **CLOSE)
    torch.testing.assert_close(ours.inverse(theirs(x)[0])[0], x, atol=1e-7, rtol=1e-7)


def test_affine_maps_go_the_other_way(normflows):
    theirs = normflows.flows.AffineConstFlow((3,))
    ours = Affine(3)
    with torch.no_grad():
        theirs.s.normal_()
        theirs.t.normal_()
        ours.shift.copy_(theirs.t[0])
        ours.log_scale.copy_(theirs.s[0])
    x = torch.randn(20, 3)
    expected, ladj = theirs(x)
    found, own = ours.inverse(x)
    torch.testing.assert_close(found, expected, **CLOSE)
    torch.testing.assert_close(own, ladj.expand(20), **CLOSE)


def test_convolutions_of_one_pixel(normflows):
    theirs = normflows.flows.Invertible1x1Conv(3)
    ours = Convolution1x1((3, 2, 4), DenseMatrix(3))
    x = torch.randn(5, 3, 2, 4)
    with torch.no_grad():
        theirs.W.add_(0.3 * torch.randn(3, 3))
        ours.matrix.weight.copy_(theirs.W)
    expected, ladj = theirs.inverse(x)
    found, own = ours.forward(x)
    torch.testing.assert_close(found, expected, **CLOSE)
    torch.testing.assert_close(own, ladj.expand(5), **CLOSE)


def test_densities(normflows):
    theirs = normflows.distributions.DiagGaussian(2)
    normal = DiagonalNormal(2)
    with torch.no_grad():
        theirs.loc.normal_()
        theirs.log_scale.normal_()
        normal.mean.copy_(theirs.loc[0])
        normal.log_scale.copy_(theirs.log_scale[0])
    x = torch.randn(9, 2)
    torch.testing.assert_close(normal.log_prob(x), theirs.log_prob(x), **CLOSE)
    mixture = normflows.distributions.GaussianMixture(3, 2)
    parts = [DiagonalNormal(2) for _ in range(3)]
    with torch.no_grad():
        mixture.weight_scores.normal_()
        for index, part in enumerate(parts):
            part.mean.copy_(mixture.loc[0, index])
            part.log_scale.copy_(mixture.log_scale[0, index])
        ours = Mixture(parts)
        ours.logits.copy_(mixture.weight_scores[0])
    torch.testing.assert_close(ours.log_prob(x), mixture.log_prob(x), **CLOSE)
