"""Why log p(x) is not estimated by draws from the prior: the error by number of latent dimensions.

The model is probabilistic PCA of 40 features, whose log p(x) is exact, so every estimate can be compared with
the truth. The methods, with the same number of likelihood evaluations per row: draws from the prior; draws
from an approximate posterior (off in its mean and too wide, as an encoder's is); and annealed importance
sampling, which needs no posterior.

Run: python examples/naive_evidence.py [--output docs/figures/evidence.png]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import matplotlib
import torch
from figure_files import write
from torch import Tensor
from torch.distributions import Independent, Normal

from logpx.distributions import Moments
from logpx.inference import AnnealedImportanceSampling, evidence
from logpx.latent import ProbabilisticPCA

matplotlib.use("agg")
from matplotlib import pyplot as plt

FEATURES, ROWS, EVALUATIONS = 40, 32, 4096
LATENT = (1, 2, 4, 6, 8, 12, 16, 24, 32)


class WithEncoder:
    """A model with a posterior as an encoder would give it."""

    def __init__(self, model: ProbabilisticPCA) -> None:
        self.model = model
        self.prior, self.likelihood, self.parameters = model.prior, model.likelihood, model.parameters

    def posterior(self, x: Tensor) -> Any:
        """Return a diagonal normal distribution, off by a tenth of its width and a third too wide."""
        exact = self.model.posterior(x)
        scale = exact.covariance_matrix.diagonal(dim1=-2, dim2=-1).sqrt()
        return Independent(Normal(exact.mean + 0.1 * scale, 1.33 * scale), 1)


def model_of(latent: int) -> ProbabilisticPCA:
    """Return probabilistic PCA fitted to rows with that many latent dimensions."""
    generator = torch.Generator().manual_seed(latent)
    loadings = torch.randn(latent, FEATURES, generator=generator, dtype=torch.float64)
    z = torch.randn(2000, latent, generator=generator, dtype=torch.float64)
    x = z @ loadings + 0.7 * torch.randn(2000, FEATURES, generator=generator, dtype=torch.float64)
    model = ProbabilisticPCA(FEATURES, latent).double()
    model.update_from_moments(Moments.of(x, full=True))
    return model


def main() -> None:
    """Estimate, compare, draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("docs/figures/evidence.png"))
    arguments = parser.parse_args()
    # Every chain, including pilot chains, evaluates the likelihood once per leapfrog step.
    annealed = AnnealedImportanceSampling(temperatures=48, leapfrog=4)
    chains = EVALUATIONS // (48 * 4) - 8
    errors: dict[str, list[float]] = {"draws from the prior": [], "IWAE, encoder": [], "AIS": []}
    sizes: list[float] = []
    for latent in LATENT:
        model = model_of(latent)
        x = model.sample(ROWS, seed=1)
        exact = model.log_prob(x).mean().item()
        naive = evidence(model, x, "monte_carlo", samples=EVALUATIONS)
        weighted = evidence(WithEncoder(model), x, "iwae", samples=EVALUATIONS)
        ais = evidence(model, x, annealed, samples=chains)
        for name, found in zip(errors, (naive, weighted, ais), strict=True):
            errors[name].append(exact - found.mean)
        sizes.append(naive.effective_sample_size.mean().item())
        print(
            f"{latent:3} dimensions, exact {exact:9.3f}: "
            + ", ".join(f"{name} {values[-1]:.3f} too low" for name, values in errors.items())
        )
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    for (name, values), style in zip(errors.items(), ("o-", "s-", "^-"), strict=True):
        left.plot(LATENT, [max(value, 1e-4) for value in values], style, label=name)
    left.set(yscale="log", xlabel="latent dimensions", ylabel="log p(x) − estimate, nats per row")
    left.set_title("errors below 0.0001 are drawn there", fontsize=10)
    left.legend(frameon=False)
    right.plot(LATENT, sizes, "o-")
    right.set(
        yscale="log", xlabel="latent dimensions", ylabel=f"effective draws from the prior, of {EVALUATIONS}"
    )
    write(figure, arguments.output)


if __name__ == "__main__":
    main()
