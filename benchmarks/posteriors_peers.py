"""Six densities of known evidence beside NumPyro, Pyro, BlackJAX and dynesty: who says so when it is wrong?

Each peer is used as in its documentation: NUTS with four chains of 1,000 draws after 1,000 of warm-up from
near 0; Pyro's normal guide with 3,000 steps of Adam; tempered SMC of 2,000 particles with ten HMC steps from
a normal prior of deviation 10; dynesty's static sampler with 500 points in a box from -20 to 20. A peer says
something if a number that it prints warns: r-hat above 1.01, divergences, or fewer than 400 effective draws.
Of an evidence only its error can warn. Seconds are those of the processor, compilation included.

Run: JAX_ENABLE_X64=1 python benchmarks/posteriors_peers.py [--peers NAME ...] [--cases NAME ...]
     (pip install numpyro pyro-ppl blackjax dynesty)
"""

from __future__ import annotations

import argparse
import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

PRIOR, BOX = 10.0, 20.0
LOG_TWO_PI = math.log(2.0 * math.pi)


def log_normal(x: Any, mean: Any, scale: float) -> Any:
    """Return independent log-densities, of arrays of any of the libraries."""
    return -0.5 * ((x - mean) / scale) ** 2 - math.log(scale) - 0.5 * LOG_TWO_PI


def two_modes(x: Any, library: Any) -> Any:
    """Return two unit normals ten deviations apart along the first axis."""
    rest = log_normal(x[..., 1], 0.0, 1.0)
    ends = [log_normal(x[..., 0], mean, 1.0) for mean in (0.0, 10.0)]
    return library.logaddexp(*ends) + rest - math.log(2.0)


def narrow_in_wide(x: Any, library: Any) -> Any:
    """Return a narrow mode that holds half of the mass beside a wide one."""
    wide, narrow = log_normal(x, 0.0, 1.0).sum(-1), log_normal(x, 4.0, 0.2).sum(-1)
    return library.logaddexp(wide, narrow) - math.log(2.0)


def signs(x: Any, library: Any) -> Any:
    """Return coordinates of which only the squares are seen: sixteen modes."""
    return (log_normal(x**2, 4.0, 0.5) + log_normal(x, 0.0, 5.0)).sum(-1)


def banana(x: Any, library: Any) -> Any:
    """Return a banana."""
    return log_normal(x[..., 0], 0.0, 1.0) + log_normal(x[..., 1], x[..., 0] ** 2, 0.5)


def funnel(x: Any, library: Any) -> Any:
    """Return Neal's funnel in two dimensions."""
    v = x[..., 0]
    return log_normal(v, 0.0, 3.0) + log_normal(x[..., 1] * library.exp(-0.5 * v), 0.0, 1.0) - 0.5 * v


def ring(x: Any, library: Any) -> Any:
    """Return a ring of radius 10."""
    return log_normal((x**2).sum(-1) ** 0.5, 10.0, 0.3)


@dataclass(frozen=True)
class Case:
    """A density, with the log of its integral, and mean and deviation of the first coordinate."""

    log_density: Callable[[Any, Any], Any]
    dim: int
    log_evidence: float
    mean: float
    deviation: float


def of_squares() -> float:
    """Return the log-evidence of one coordinate of `signs`, by the midpoint rule."""
    x = -6.0 + 12.0 * (np.arange(400_000) + 0.5) / 400_000
    values = log_normal(x**2, 4.0, 0.5) + log_normal(x, 0.0, 5.0)
    return float(np.log(np.exp(values).sum() * 12.0 / 400_000))


CASES = {
    "two modes, 2": Case(two_modes, 2, 0.0, 5.0, math.sqrt(26.0)),
    "narrow in wide, 5": Case(narrow_in_wide, 5, 0.0, 2.0, math.sqrt(4.0 + 0.52)),
    "16 signs, 4": Case(signs, 4, 4.0 * of_squares(), 0.0, 2.0),
    "banana, 2": Case(banana, 2, 0.0, 0.0, 1.0),
    "funnel, 2": Case(funnel, 2, 0.0, 0.0, 3.0),
    "ring, 2": Case(ring, 2, math.log(2.0 * math.pi * 10.0), 0.0, math.sqrt(0.5 * 100.09)),
}


@dataclass(frozen=True)
class Answer:
    """What a library has answered: draws of the first coordinate, evidence, calls, and its warning."""

    draws: Any
    log_evidence: float | None
    calls: int
    warning: str


def logpx_auto(case: Case) -> Answer:
    """Run `logpx.posterior`."""
    from logpx.posteriors import Trust, posterior

    found = posterior(lambda x: case.log_density(x, torch), case.dim, max_time=120.0)
    trust, cost = found.diagnosis.trust, found.costs.total
    draws = found.sample(4000, resampled=trust is not Trust.TRUST)[:, 0].numpy()
    return Answer(draws, found.log_evidence, cost.points + cost.gradients, trust.value)


def numpyro_nuts(case: Case) -> Answer:
    """Run NumPyro's NUTS."""
    import jax
    import jax.numpy as jnp
    from numpyro.diagnostics import summary
    from numpyro.infer import MCMC, NUTS

    kernel = NUTS(potential_fn=lambda x: -case.log_density(x, jnp))
    options = {"num_warmup": 1000, "num_samples": 1000, "num_chains": 4, "chain_method": "sequential"}
    chains = MCMC(kernel, progress_bar=False, **options)
    start = jax.random.uniform(jax.random.PRNGKey(1), (4, case.dim), minval=-2.0, maxval=2.0)
    chains.run(jax.random.PRNGKey(0), init_params=start, extra_fields=("num_steps", "diverging"))
    extra, draws = chains.get_extra_fields(), np.asarray(chains.get_samples(group_by_chain=True))
    found = summary(draws)["Param:0"]
    said = []
    if (worst := float(np.max(found["r_hat"]))) > 1.01:
        said.append(f"r-hat {worst:.2f}")
    if (least := float(np.min(found["n_eff"]))) < 400.0:
        said.append(f"{least:.0f} effective")
    if (count := int(extra["diverging"].sum())) > 0:
        said.append(f"{count} divergences")
    # Warm-up takes about as many steps as the draws, which alone are counted by the library.
    calls = 2 * int(extra["num_steps"].sum())
    return Answer(draws[..., 0].ravel(), None, calls, ", ".join(said) or "nothing")


def pyro_guide(case: Case) -> Answer:
    """Fit Pyro's multivariate normal guide."""
    import pyro
    from pyro.infer import SVI, Trace_ELBO
    from pyro.infer.autoguide import AutoMultivariateNormal
    from pyro.optim import Adam

    def model() -> None:
        flat = pyro.distributions.Normal(torch.zeros(case.dim), 1.0).to_event(1).mask(False)
        pyro.factor("log_density", case.log_density(pyro.sample("x", flat), torch))

    pyro.set_rng_seed(0)
    pyro.clear_param_store()
    guide, steps, particles = AutoMultivariateNormal(model), 3000, 16
    loss = Trace_ELBO(num_particles=particles, vectorize_particles=True, max_plate_nesting=0)
    training = SVI(model, guide, Adam({"lr": 0.01}), loss)
    losses = [training.step() for _ in range(steps)]
    draws = guide.get_posterior().sample((4000,))[:, 0].detach().numpy()
    return Answer(draws, -float(np.mean(losses[-500:])), steps * particles, "nothing")


def blackjax_smc(case: Case) -> Answer:
    """Run BlackJAX's adaptive tempered SMC."""
    import blackjax
    import jax
    import jax.numpy as jnp
    from blackjax.smc import extend_params, resampling

    particles, moves, leapfrogs = 2000, 10, 10

    def log_prior(x: Any) -> Any:
        return log_normal(x, 0.0, PRIOR).sum(-1)

    kernel = blackjax.hmc.build_kernel()
    parameters = {
        "step_size": 0.1,
        "inverse_mass_matrix": jnp.ones(case.dim),
        "num_integration_steps": leapfrogs,
    }
    smc = blackjax.adaptive_tempered_smc(
        log_prior,
        lambda x: case.log_density(x, jnp) - log_prior(x),
        kernel,
        blackjax.hmc.init,
        extend_params(parameters),
        resampling.systematic,
        0.5,
        num_mcmc_steps=moves,
    )
    state = smc.init(PRIOR * jax.random.normal(jax.random.PRNGKey(1), (particles, case.dim)))
    step, log_evidence, steps = jax.jit(smc.step), 0.0, 0
    while float(state.tempering_param) < 1.0:
        state, information = step(jax.random.PRNGKey(2 + steps), state)
        log_evidence, steps = log_evidence + float(information.log_likelihood_increment), steps + 1
    calls = particles * moves * leapfrogs * steps
    return Answer(np.asarray(state.particles)[:, 0], log_evidence, calls, "nothing")


def dynesty_static(case: Case) -> Answer:
    """Run dynesty's static nested sampler in a box."""
    from dynesty import NestedSampler

    sampler = NestedSampler(
        lambda x: float(case.log_density(x, np)),
        lambda share: BOX * (2.0 * share - 1.0),
        case.dim,
        nlive=500,
        rstate=np.random.default_rng(0),
    )
    sampler.run_nested(print_progress=False)
    found = sampler.results
    shares = np.exp(found.logwt - found.logz[-1])
    draws = np.random.default_rng(1).choice(found.samples[:, 0], 4000, p=shares / shares.sum())
    log_evidence = float(found.logz[-1]) + case.dim * math.log(2.0 * BOX)
    return Answer(draws, log_evidence, int(found.ncall.sum()), f"error {float(found.logzerr[-1]):.2f}")


PEERS: dict[str, Callable[[Case], Answer]] = {
    "logpx auto": logpx_auto,
    "NumPyro NUTS": numpyro_nuts,
    "Pyro AutoMultivariateNormal": pyro_guide,
    "BlackJAX tempered SMC": blackjax_smc,
    "dynesty": dynesty_static,
}


def row_of(name: str, peer: str) -> str:
    """Return a row of the table."""
    case, began = CASES[name], time.process_time()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        answer = PEERS[peer](case)
    seconds = time.process_time() - began
    kinds = {f"{type(each.message).__name__}" for each in caught}
    kinds -= {"DeprecationWarning", "FutureWarning", "PendingDeprecationWarning"}
    evidence = "none" if answer.log_evidence is None else f"{answer.log_evidence - case.log_evidence:+.3f}"
    off = (float(np.mean(answer.draws)) - case.mean) / case.deviation
    said = ", ".join([answer.warning, *sorted(kinds)])
    cells = [name, peer, f"{answer.calls:,}", f"{seconds:.1f}", evidence, f"{off:+.2f}", said]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Run every library on every density and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", nargs="*", default=list(PEERS))
    parser.add_argument("--cases", nargs="*", default=list(CASES))
    chosen = parser.parse_args()
    heads = (
        "density | library | calls | seconds | error of log-evidence | of the mean, in deviations | it says"
    )
    print(f"| {heads} |")
    print("|---|---|---|---|---|---|---|")
    for name, peer in [(name, peer) for name in chosen.cases for peer in chosen.peers]:
        print(row_of(name, peer), flush=True)


if __name__ == "__main__":
    main()
