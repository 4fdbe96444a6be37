"""Labels that a VAE fills in are the most probable ones, against quadrature over z."""

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import nn

from logpx.distributions.likelihoods import CategoricalLikelihood, NormalLikelihood, ProductLikelihood
from logpx.errors import UsageError
from logpx.latent import VAE

NAN = float("nan")


class Steps(nn.Module):
    """Codes 0, 2 and 0, 1, 2 by the sign of z; the number is z itself."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        below = (z[..., :1] < 0).to(z.dtype)
        # Code 0 below 0 and code 2 above: their mean would be code 1, which never is.
        of_three = torch.cat([4.0 * below, torch.full_like(below, -4.0), 4.0 * (1.0 - below)], -1)
        of_two = torch.cat([3.0 * below, 3.0 * (1.0 - below)], -1)
        return torch.cat([z[..., :1], of_three, of_two], -1)


def steps() -> VAE:
    likelihood = ProductLikelihood(
        [NormalLikelihood(1), CategoricalLikelihood(1, 3), CategoricalLikelihood(1, 2)], [[1], [0], [2]]
    )
    encoder = nn.Linear(3, 2)
    nn.init.zeros_(encoder.weight)
    nn.init.zeros_(encoder.bias)
    with torch.no_grad():
        likelihood.parts[0].scale.log_scale.fill_(np.log(0.5))
    return VAE(likelihood, 1, encoder=encoder, decoder=Steps()).eval()


def test_the_guess_is_a_label_and_the_most_probable():
    x = torch.tensor([[NAN, -1.0, NAN], [NAN, 1.0, 0.0], [NAN, NAN, 1.0], [2.0, NAN, NAN], [0.0, 1.0, 0.0]])
    filled = steps().impute(x, importance_draws=400)
    assert filled[:, 0].tolist() == [0.0, 2.0, 2.0, 2.0, 0.0]
    assert filled[:, 2].tolist() == [0.0, 0.0, 1.0, 1.0, 0.0]
    assert torch.equal(filled[~x.isnan()], x[~x.isnan()])


def test_numbers_and_labels_against_quadrature():
    x = torch.tensor([[NAN, -0.3, NAN], [2.0, NAN, NAN], [NAN, 0.2, 0.0], [NAN, NAN, NAN]])
    filled = steps().impute(x, importance_draws=20_000)
    z = np.linspace(-8.0, 8.0, 20_001)
    # By hand: p(z) and the three likelihoods, up to what does not depend on z.
    three = np.where(z < 0, 4.0, 0.0)[:, None] * [1.0, 0.0, 0.0]
    three = three + np.array([0.0, -4.0, 0.0]) + np.where(z < 0, 0.0, 4.0)[:, None] * [0.0, 0.0, 1.0]
    two = np.stack([np.where(z < 0, 3.0, 0.0), np.where(z < 0, 0.0, 3.0)], 1)
    three, two = (np.exp(logits) / np.exp(logits).sum(1, keepdims=True) for logits in (three, two))
    for row, found in zip(x.numpy(), filled.numpy(), strict=True):
        density = norm.pdf(z)
        if not np.isnan(row[0]):
            density = density * three[:, int(row[0])]
        if not np.isnan(row[1]):
            density = density * norm.pdf(row[1], z, 0.5)
        if not np.isnan(row[2]):
            density = density * two[:, int(row[2])]
        density = density / density.sum()
        if np.isnan(row[1]):
            assert found[1] == pytest.approx(density @ z, abs=0.03)
        for column, probabilities in ((0, three), (2, two)):
            best = np.sort(density @ probabilities)
            if np.isnan(row[column]) and best[-1] - best[-2] > 0.05:
                assert found[column] == (density @ probabilities).argmax()


def test_draws_have_the_probabilities_of_the_labels():
    x = torch.tensor([[NAN, -0.3, NAN]])
    drawn = steps().impute(x, draws=4000, importance_draws=4000)[:, 0]
    z = np.linspace(-8.0, 8.0, 20_001)
    density = norm.pdf(z) * norm.pdf(-0.3, z, 0.5)
    below = density[z < 0].sum() / density.sum()
    first = below * np.exp(3.0) / (np.exp(3.0) + 1.0) + (1.0 - below) / (np.exp(3.0) + 1.0)
    assert float((drawn[:, 2] == 0.0).float().mean()) == pytest.approx(first, abs=0.04)


def test_no_rows_and_bad_numbers_of_draws():
    assert steps().impute(torch.empty(0, 3)).shape == (0, 3)
    assert steps().impute(torch.empty(0, 3), draws=2).shape == (2, 0, 3)
    for options in ({"draws": 0}, {"importance_draws": 0}):
        with pytest.raises(UsageError, match="draws is 0"):
            steps().impute(torch.zeros(1, 3), **options)
