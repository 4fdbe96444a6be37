"""The shape of the tail of importance weights, against numbers of the method's authors.

NumPyro's tests publish them: the authors' reference code and Pyro agree on them to 1e-15. The draws are
numpy's, so that the weights can be made again.
"""

import numpy as np
import pytest
import torch

from logpx.inference import k_hat


@pytest.mark.parametrize(
    ("scale", "published"),
    [
        (0.5, 0.9080815512205151),
        (0.7, 0.6371459500343336),
        (0.9, 0.27494481323913184),
        (0.99, 0.08018355166699344),
    ],
)
def test_it_is_that_of_the_reference_code(scale: float, published: float):
    # p = N(0, 1) and q = N(0, scale²), in three dimensions.
    z = np.random.default_rng(42).normal(0.0, scale, size=(50_000, 3))
    log_weights = -0.5 * (z**2).sum(1) * (1.0 - scale**-2) + 3.0 * np.log(scale)
    found = k_hat(torch.from_numpy(log_weights))
    assert float(found) == pytest.approx(published, abs=1e-10)
