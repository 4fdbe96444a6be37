"""The most probable label under a VAE, against a mixture that it is made to imitate."""

import numpy as np
import torch
from torch import nn

from logpx.distributions.likelihoods import CategoricalLikelihood, NormalLikelihood, ProductLikelihood
from logpx.latent import VAE
from logpx.tables.label_guesses import with_label_guesses

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
    y = torch.tensor([[NAN, -1.0, NAN], [NAN, 1.0, 0.0], [NAN, NAN, 1.0], [2.0, NAN, NAN], [0.0, 1.0, 0.0]])
    model = steps()
    filled = with_label_guesses(model, y, model.impute(y), [3, None, 2], samples=400)
    assert filled[:, 0].tolist() == [0.0, 2.0, 2.0, 2.0, 0.0]
    assert filled[:, 2].tolist() == [0.0, 0.0, 1.0, 1.0, 0.0]
    torch.testing.assert_close(filled[:, 1], model.impute(y)[:, 1])


def test_rows_without_missing_labels_are_left_alone():
    y = torch.tensor([[0.0, NAN, 1.0]])
    model = steps()
    filled = model.impute(y)
    assert with_label_guesses(model, y, filled, [3, None, 2]) is filled
