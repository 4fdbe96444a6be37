"""Models are built on the meta device without imports that take a second."""

import subprocess
import sys

import torch

from logpx.distributions.meta import evenly_spaced, identity_matrix

SCRIPT = """
import sys
from logpx.configuration import describe
from logpx.distributions import OrderAgnostic
from logpx.distributions.columns import LabelColumn, NumberColumn, ValueColumn
from logpx.latent import ConjugatePrior, GaussianMixture
from logpx.scoring import Calibration
from logpx.storage.description import build_skeleton
import torch
models = [
    OrderAgnostic([NumberColumn(), LabelColumn(3), ValueColumn([1.0, 2.0])], 8, 1),
    GaussianMixture(2, 3, prior=ConjugatePrior(covariance_rows=1.0)),
    Calibration.of(torch.randn(30)),
]
before = {"torch._refs", "torch._decomp.decompositions", "sympy"} & set(sys.modules)
for model in models:
    build_skeleton(describe(model))
after = {"torch._refs", "torch._decomp.decompositions", "sympy"} & set(sys.modules)
sys.exit(f"imported {sorted(after - before)}" if after - before else 0)
"""


def test_skeletons_of_models_of_tables_import_nothing_that_is_slow():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_starting_values_are_those_of_torch():
    assert torch.allclose(
        evenly_spaced(-1.0, 2.0, 7), torch.linspace(-1.0, 2.0, 7, dtype=torch.float64), atol=1e-15
    )
    assert torch.equal(identity_matrix(3), torch.eye(3))
