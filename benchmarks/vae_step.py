"""Time a training step of a variational autoencoder beside pythae's, turn by turn in one process.

Binary images of 28 × 28, batches of 128, one hidden layer of 512 units on both sides of 16 latent
dimensions. Each library makes its step with the optimiser that its own training uses by default (fused AdamW
here, Adam there); a third row gives pythae the fused one too, and a fourth is the same step written by hand,
gradients included, without modules, distributions and autograd, which no library can beat. Then both run
their own training, `logpx.fit` and pythae's trainer: the time of many steps less that of few, so that one-off
costs do not count.

Run: python benchmarks/vae_step.py [--threads N] [--steps N]
"""

from __future__ import annotations

import argparse
import importlib.metadata
import logging
import statistics
import tempfile
import time
from collections.abc import Callable

import torch
from pythae.data.datasets import BaseDataset
from pythae.models import VAE as PeerVAE
from pythae.models import VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from torch import Tensor, nn
from torch.nn import functional

import logpx
from logpx.distributions.likelihoods import BernoulliLikelihood
from logpx.latent import VAE

PIXELS, HIDDEN, LATENT, BATCH = 784, 512, 16, 128
IMAGE = (1, 28, 28)


class Encoder(BaseEncoder):
    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(PIXELS, HIDDEN), nn.ReLU())
        self.mean, self.log_variance = nn.Linear(HIDDEN, LATENT), nn.Linear(HIDDEN, LATENT)

    def forward(self, x: Tensor) -> ModelOutput:
        h = self.hidden(x.flatten(1))
        return ModelOutput(embedding=self.mean(h), log_covariance=self.log_variance(h))


class Decoder(BaseDecoder):
    def __init__(self) -> None:
        super().__init__()
        layers = nn.Linear(LATENT, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, PIXELS), nn.Sigmoid()
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=self.layers(z).view(-1, *IMAGE))


def step_of(
    optimiser: torch.optim.Optimizer, loss: Callable[[Tensor], Tensor], images: Tensor
) -> Callable[[], float]:
    """Return a function that makes one step on random images and returns the seconds it took."""

    def step() -> float:
        start = time.perf_counter()
        value = loss(images[torch.randint(len(images), (BATCH,))])
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        return time.perf_counter() - start

    return step


def step_by_hand(images: Tensor) -> Callable[[], float]:
    """Return the same step as sums and products of tensors alone, with fused AdamW."""
    sizes = [(HIDDEN, PIXELS), (2 * LATENT, HIDDEN), (HIDDEN, LATENT), (PIXELS, HIDDEN)]
    weights = [nn.Parameter(torch.randn(size) / size[1] ** 0.5) for size in sizes]
    biases = [nn.Parameter(torch.zeros(size[0])) for size in sizes]
    for parameter in weights + biases:
        parameter.grad = torch.zeros_like(parameter)
    optimiser = torch.optim.AdamW(weights + biases, 1e-3, fused=True)

    def back(layer: int, slope: Tensor, below: Tensor) -> None:
        torch.mm(slope.t(), below, out=weights[layer].grad)
        torch.sum(slope, 0, out=biases[layer].grad)

    @torch.no_grad()
    def step() -> float:
        start = time.perf_counter()
        x = images[torch.randint(len(images), (BATCH,))]
        encoded = torch.addmm(biases[0], x, weights[0].t()).relu_()
        mean, log_scale = torch.addmm(biases[1], encoded, weights[1].t()).chunk(2, 1)
        scale, noise = log_scale.exp(), torch.randn_like(mean)
        z = torch.addcmul(mean, scale, noise)
        decoded = torch.addmm(biases[2], z, weights[2].t()).relu_()
        logits = torch.addmm(biases[3], decoded, weights[3].t())
        divergence = 0.5 * (mean.square() + scale.square() - 1.0).sum() - log_scale.sum()
        explained = torch.dot(x.flatten(), logits.flatten()) - functional.softplus(logits).sum()
        assert torch.isfinite(explained - divergence)
        slope = torch.sigmoid(logits).sub_(x).div_(BATCH)
        back(3, slope, decoded)
        slope = (slope @ weights[3]).mul_(decoded > 0.0)
        back(2, slope, z)
        of_z = slope @ weights[2]
        of_log_scale = (of_z * noise + scale / BATCH) * scale - 1.0 / BATCH
        slope = torch.cat([of_z + mean / BATCH, of_log_scale], 1)
        back(1, slope, encoded)
        back(0, (slope @ weights[1]).mul_(encoded > 0.0), x)
        optimiser.step()
        return time.perf_counter() - start

    return step


def fitted(images: Tensor, steps: int) -> float:
    """Return the seconds of a fit by logpx."""
    model = VAE(BernoulliLikelihood(PIXELS), LATENT, (HIDDEN,))
    start = time.perf_counter()
    logpx.fit(model, images, images[:BATCH], batch_size=BATCH, max_steps=steps, progress=False)
    return time.perf_counter() - start


def trained(images: Tensor, steps: int) -> float:
    """Return the seconds of as many steps by pythae's trainer."""
    rows = images[: steps * BATCH].view(-1, *IMAGE)
    with tempfile.TemporaryDirectory() as folder:
        settings = BaseTrainerConfig(output_dir=folder, num_epochs=1, per_device_train_batch_size=BATCH)
        model = PeerVAE(VAEConfig(IMAGE, LATENT, reconstruction_loss="bce"), Encoder(), Decoder())
        trainer = BaseTrainer(model, BaseDataset(rows, torch.ones(len(rows))), training_config=settings)
        trainer.prepare_training()
        start = time.perf_counter()
        trainer.train_step(1)
        return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=300, help="steps of each side")
    parser.add_argument("--repeats", type=int, default=3, help="repetitions of whole training")
    options = parser.parse_args()
    logging.disable(logging.INFO)
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    images = (torch.rand(10_000, PIXELS) > 0.8).float()
    own = VAE(BernoulliLikelihood(PIXELS), LATENT, (HIDDEN,)).train()
    settings = VAEConfig(input_dim=IMAGE, latent_dim=LATENT, reconstruction_loss="bce")
    peers = [PeerVAE(settings, encoder=Encoder(), decoder=Decoder()).train() for _ in range(2)]
    steps = {
        "logpx": step_of(
            torch.optim.AdamW(own.parameters(), 1e-3, fused=True), lambda x: -own.log_prob(x).mean(), images
        ),
        "pythae": step_of(
            torch.optim.Adam(peers[0].parameters(), 1e-3),
            lambda x: peers[0]({"data": x.view(-1, *IMAGE)}).loss,
            images,
        ),
        "pythae, fused AdamW": step_of(
            torch.optim.AdamW(peers[1].parameters(), 1e-3, fused=True),
            lambda x: peers[1]({"data": x.view(-1, *IMAGE)}).loss,
            images,
        ),
        "by hand": step_by_hand(images),
    }
    times: dict[str, list[float]] = {name: [] for name in steps}
    for step in list(steps.values()) * 10:
        step()
    # Eight steps in a row: right after the other's step, caches hold the other's weights.
    for _ in range(options.steps // 8):
        for name, step in steps.items():
            times[name] += [1e3 * step() for _ in range(8)]
    print(
        "| side | median, ms | fastest, ms | logpx / this, medians | fastest | this / pythae, medians |\n"
        "|---|---|---|---|---|---|"
    )
    for name, values in times.items():
        ratios = [of(times["logpx"]) / of(values) for of in (statistics.median, min)]
        to_peer = statistics.median(values) / statistics.median(times["pythae"])
        shown = [f"{number:.2f}" for number in (statistics.median(values), min(values), *ratios, to_peer)]
        print(f"| {name} | {' | '.join(shown)} |")
    few, many = 100, 500
    rows = (torch.rand(many * BATCH, PIXELS) > 0.8).float()
    for _ in range(options.repeats):
        own_ms, peer_ms = (
            1e3 * (run(rows, many) - run(rows, few)) / (many - few) for run in (fitted, trained)
        )
        print(f"a step of whole training: {own_ms:.2f} ms, pythae {peer_ms:.2f} ms, {own_ms / peer_ms:.2f}")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("torch", "pythae"))
    print(f"{options.threads} threads; {versions}")


if __name__ == "__main__":
    main()
