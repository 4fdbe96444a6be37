"""VAE and IWAE on binarised MNIST, the one-hidden-block network of Burda et al., in a given time.

Encoder and decoder have two layers of 200 tanh units; there are 50 latent dimensions. Each time an image is
used in training, its pixels are drawn anew with their gray values as probabilities (dynamic binarisation);
test images are drawn once. The last 1,000 training images select the weights. The figure is the
importance-weighted bound of log p(x) with 5,000 draws on test images.

Run: python benchmarks/binarised_mnist.py --data FOLDER [--objective vae|iwae|iwae-alone] [--minutes M]
     [--threads N]
"""

from __future__ import annotations

import argparse
import time

import torch
from torch import Tensor

import logpx
from logpx.distributions import Distribution
from logpx.distributions.likelihoods import BernoulliLikelihood
from logpx.images import open_images
from logpx.latent.vae import VAE, EvidenceLowerBound, ImportanceWeightedBound, Objective, latent_report
from logpx.nets import MLP

PIXELS, LATENT, WIDTHS = 784, 50, (200, 200)
# Shares of the time, learning rates, objectives and rows per step, in sequence: a step of IWAE-50 decodes
# fifty times as much, and is better spent on a model past its first epochs.
ELBO, IWAE = (EvidenceLowerBound(), 100), (ImportanceWeightedBound(50, followed=1), 50)
STAGES: dict[str, list[tuple[float, float, Objective, int]]] = {
    "vae": [(1.0, 1e-3, *ELBO)],
    "iwae": [(0.8, 1e-3, *ELBO), (0.2, 5e-4, *IWAE)],
    "iwae-alone": [(1.0, 1e-3, *IWAE)],
}


class Binarised(Distribution):
    """Gray values in [0, 1] under a model of binary pixels: redrawn in training, fixed in evaluation."""

    allows_constants = True

    def __init__(self, model: VAE) -> None:
        super().__init__(model.event_shape)
        self.model = model

    def initialise(self, x: Tensor, context: Tensor | None = None) -> None:
        self.model.initialise(binary(x, 0))

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self.model.log_prob(binary(x, None if self.training else 0))


def binary(gray: Tensor, seed: int | None) -> Tensor:
    """Draw binary pixels."""
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    return (torch.rand(gray.shape, generator=generator) < gray).to(gray.dtype)


def images(source: str, data: str) -> Tensor:
    """Return gray values in [0, 1], shape ``(n, 784)``."""
    batches = open_images(source, data=data).batches()
    return torch.cat([batch.pixels for batch in batches]).flatten(1).float() / 255.0


def main() -> None:
    """Train, and print a row of a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", required=True, help="the folder of data sets")
    parser.add_argument("--objective", choices=list(STAGES), default="vae")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--test", type=int, default=10_000, help="number of test images")
    parser.add_argument("--draws", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    stages = STAGES[options.objective]
    model = VAE(
        BernoulliLikelihood(PIXELS),
        LATENT,
        encoder=MLP(PIXELS, 2 * LATENT, WIDTHS, activation="tanh", damped=False),
        decoder=MLP(LATENT, PIXELS, WIDTHS, activation="tanh", damped=False),
        draws=2,
    )
    gray = images("mnist:train", options.data)
    work = []
    for share, rate, objective, batch in stages:
        model.objective = objective
        result = logpx.fit(
            Binarised(model),
            gray[:-1000],
            gray[-1000:],
            batch_size=batch,
            learning_rate=rate,
            max_steps=10_000_000,
            max_time=60.0 * options.minutes * share,
            patience=1_000_000,
            noise=0.0,
            seed=options.seed,
            progress=False,
        )
        steps = result.history[-1].step
        work.append(f"{steps:,} steps of {batch} ({steps * batch / 59_000:.0f} epochs)")
    training_minutes = time.process_time() / 60.0
    test = binary(images("mnist:test", options.data)[: options.test], 1)
    began = time.monotonic()
    bound = model.eval().log_prob_lower(test, options.draws, seed=1).log_prob
    report = latent_report(model, test[:1000])
    error = bound.std() / len(bound) ** 0.5
    cells = [
        options.objective,
        f"{options.threads} thread(s), {options.minutes:g} min, of CPU time {training_minutes:.0f}",
        ", then ".join(work),
        f"{-bound.mean():.2f} ± {error:.2f}",
        f"{len(test):,}",
        f"{-report.elbo:.2f}",
        str(report.active),
        f"{time.monotonic() - began:.0f} s",
    ]
    print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
