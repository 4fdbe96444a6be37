"""Figures of the course about latent variables: a posterior of a coin, the gap of the bound, an encoder's q.

Run: python examples/course_latent.py [--folder docs/figures]
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import matplotlib
import numpy as np
import torch
from figure_files import write
from torch.distributions import MultivariateNormal, kl_divergence

import logpx
from logpx import latent
from logpx.distributions.likelihoods import NormalLikelihood

matplotlib.use("agg")
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#767676"
HEADS, THROWS = 9, 12


def bayes() -> Figure:
    """Draw the posterior of a coin, and the evidence of two models by the number of heads."""
    p = torch.linspace(0.001, 0.999, 999)
    log_evidence = math.lgamma(HEADS + 1) + math.lgamma(THROWS - HEADS + 1) - math.lgamma(THROWS + 2)
    product = HEADS * p.log() + (THROWS - HEADS) * torch.log1p(-p)
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.6), layout="constrained")
    left.plot(p, torch.ones_like(p), "--", color=GREY, label="prior")
    left.plot(p, (product - log_evidence).exp(), color=BLUE, label="posterior")
    for place, colour, words in (
        (HEADS / THROWS, ORANGE, "mode (MAP)"),
        ((HEADS + 1) / (THROWS + 2), GREEN, "mean"),
    ):
        left.axvline(place, color=colour, ls=":", label=f"{words}: {place:.3f}")
    left.set(xlabel="p of heads", ylabel="density", title=f"{HEADS} heads in {THROWS} throws")
    left.legend(frameon=False, loc="upper left")
    heads = np.arange(THROWS + 1)
    fair = [math.comb(THROWS, k) * 0.5**THROWS for k in heads]
    right.bar(heads - 0.2, fair, 0.4, color=GREY, label="fair coin")
    right.bar(heads + 0.2, np.full(THROWS + 1, 1 / (THROWS + 1)), 0.4, color=BLUE, label="unknown coin")
    right.axvline(HEADS, color=ORANGE, ls=":", label=f"thrown: {HEADS} heads")
    right.set(xlabel=f"heads in {THROWS} throws", ylabel="evidence", title="what each model predicted")
    right.legend(frameon=False, loc="upper left")
    return figure


@torch.no_grad()
def elbo() -> Figure:
    """Draw the bound and its gap as q moves away from the posterior."""
    x = (torch.randn(500, 2) @ torch.randn(2, 6) + 0.5 * torch.randn(500, 6)).double()
    model = latent.ProbabilisticPCA(features=6, latent=2).double()
    logpx.fit(model, x)
    posterior, log_p = model.posterior(x[:1]), model.log_prob(x[:1]).item()
    direction = torch.linalg.cholesky(posterior.covariance_matrix[0])[:, 0]
    shifts = np.linspace(-3.0, 3.0, 121)
    figure, panel = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
    panel.axhline(log_p, color="black", lw=1.5)
    panel.text(-2.9, log_p + 0.12, "log p(x)", va="bottom")
    for width, colour in ((1.0, BLUE), (1.8, ORANGE)):
        gaps = [
            kl_divergence(
                MultivariateNormal(posterior.mean + s * direction, width**2 * posterior.covariance_matrix),
                posterior,
            ).item()
            for s in shifts
        ]
        words = "as wide as the posterior" if width == 1.0 else f"{width:.1f} times as wide"
        panel.plot(shifts, log_p - np.array(gaps), color=colour, label=f"ELBO, q {words}")
    panel.annotate("", (1.6, log_p - 1.28), (1.6, log_p), arrowprops={"arrowstyle": "<->", "color": BLUE})
    panel.text(1.7, log_p - 0.6, "KL(q ‖ p(z | x))", color=BLUE, va="center")
    panel.set(xlabel="shift of q, in standard deviations of the posterior", ylabel="nats")
    panel.set(ylim=(log_p - 6.0, log_p + 0.9), xlim=(-3.0, 3.0))
    panel.legend(frameon=False, loc="lower center")
    return figure


def crescent(n: int) -> torch.Tensor:
    angle = 3.1 * torch.rand(n, 1)
    return torch.cat([2 * angle.cos(), angle.sin(), angle.cos() * angle.sin()], 1) + 0.1 * torch.randn(n, 3)


def refined(vae: latent.VAE, row: torch.Tensor, steps: int = 500) -> MultivariateNormal:
    """Return the best diagonal normal q of one row, found by climbing its bound."""
    start = vae.posterior(row)
    mean = start.mean.detach().clone().requires_grad_()
    log_scale = start.stddev.detach().log().requires_grad_()
    optimizer = torch.optim.Adam([mean, log_scale], lr=0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        z = mean + log_scale.exp() * torch.randn(256, *mean.shape)
        joint = vae.prior.log_prob(z) + vae.likelihood(z).log_prob(row)
        (-(joint.mean() + log_scale.sum())).backward()
        optimizer.step()
    return MultivariateNormal(mean.detach(), torch.diag_embed((2 * log_scale.detach()).exp()))


def amortized() -> Figure:
    """Draw the true posterior of three rows, the encoder's q and the best normal one."""
    rows = crescent(1500)
    vae = latent.VAE(NormalLikelihood(3), latent=2, hidden=(32,))
    logpx.fit(vae, rows[:1000], max_steps=1000, seed=0)
    figure, axes = plt.subplots(1, 3, figsize=(9.6, 3.4), layout="constrained")
    for panel, row in zip(axes, rows[[1000, 1003, 1007]], strict=True):
        row = row[None]
        best, q = refined(vae, row), vae.posterior(row)
        centre, reach = best.mean[0], 6.5 * best.stddev[0].max()
        side = torch.linspace(-1.0, 1.0, 241) * reach
        first, second = torch.meshgrid(centre[0] + side, centre[1] + side, indexing="xy")
        z = torch.stack([first, second], -1)[:, :, None]
        with torch.no_grad():
            joint = (vae.prior.log_prob(z) + vae.likelihood(z).log_prob(row))[..., 0]
        shown = (joint - joint.max()).numpy()
        shades = [(*to_rgb(GREEN), share) for share in (0.15, 0.3, 0.5, 0.8)]
        panel.contourf(first, second, shown, levels=[-6.0, -4.0, -2.0, -0.5, 0.01], colors=shades)
        within = z[:, :, 0][torch.from_numpy(shown > -6.0)]
        low, high = within.min(0).values, within.max(0).values
        middle, half = (low + high) / 2, 0.55 * (high - low).max()
        for distribution, colour, style in ((q, BLUE, "--"), (best, ORANGE, "-")):
            mean, scale = distribution.mean[0].detach(), distribution.stddev[0].detach()
            for times in (1.0, 2.0):
                size = (2 * times * scale).tolist()
                panel.add_patch(Ellipse(mean.tolist(), *size, fill=False, edgecolor=colour, ls=style, lw=1.6))
        panel.set(xlabel="z₁", aspect="equal")
        panel.set(xlim=(middle[0] - half, middle[0] + half), ylim=(middle[1] - half, middle[1] + half))
    axes[0].set_ylabel("z₂")
    axes[0].plot([], [], "--", color=BLUE, label="encoder's q")
    axes[0].plot([], [], "-", color=ORANGE, label="best normal q")
    axes[0].plot([], [], "s", color=GREEN, label="posterior")
    figure.legend(frameon=False, loc="outside upper center", ncols=3)
    return figure


def main() -> None:
    """Draw all of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path("docs/figures"))
    folder = parser.parse_args().folder
    for draw in (bayes, elbo, amortized):
        torch.manual_seed(0)
        write(draw(), folder / f"{draw.__name__}.png")


if __name__ == "__main__":
    main()
