"""Variational EM in the training loop, alternating and joint, to the maximum that PPCA has in closed form."""

import pytest
import torch
from torch import nn

import logpx
from logpx.distributions.likelihoods import GlobalScale, NormalLikelihood
from logpx.errors import UsageError
from logpx.latent import ProbabilisticPCA
from logpx.latent.vae import (
    VAE,
    CombinedImportanceWeightedBound,
    EvidenceLowerBound,
    FullPosterior,
    MultipleImportanceWeightedBound,
    StickingTheLandingBound,
    inference_gap,
)

FEATURES, LATENT = 5, 2


def rows(n: int = 2000) -> torch.Tensor:
    generator = torch.Generator().manual_seed(9)
    loadings = torch.randn(LATENT, FEATURES, generator=generator)
    z = torch.randn(n, LATENT, generator=generator)
    x = z @ loadings + 0.5 * torch.randn(n, FEATURES, generator=generator)
    # One deviation for all columns, so that one scale of the likelihood is right for each.
    return x / x.std(0)


def linear_vae(**options) -> VAE:
    torch.manual_seed(0)
    posterior = FullPosterior(LATENT)
    return VAE(
        NormalLikelihood(FEATURES, GlobalScale()),
        LATENT,
        encoder=nn.Linear(FEATURES, posterior.outputs),
        decoder=nn.Linear(LATENT, FEATURES),
        posterior=posterior,
        **options,
    )


@pytest.fixture(scope="module")
def truth() -> float:
    best = ProbabilisticPCA(FEATURES, LATENT).double()
    logpx.fit(best, rows().double())
    return best.log_prob(rows().double()).mean().item()


@pytest.mark.parametrize(
    ("objective", "e_steps"),
    [
        pytest.param(EvidenceLowerBound(), 0, marks=pytest.mark.slow),
        pytest.param(EvidenceLowerBound(), 4, marks=pytest.mark.slow),
        (StickingTheLandingBound(), 1),
    ],
    ids=["elbo, joint", "elbo, 4 E-steps", "sticking the landing, 1 E-step"],
)
def test_joint_and_alternating_steps_reach_the_exact_maximum(truth: float, objective, e_steps: int):
    vae = linear_vae(e_steps=e_steps, objective=objective)
    x = rows()
    logpx.fit(
        vae,
        x,
        x,
        max_steps=1000 * (1 + e_steps // 2),
        batch_size=256,
        learning_rate=0.02,
        noise=0.0,
        seed=0,
        progress=False,
    )
    gap = inference_gap(vae, x[:400], steps=0, draws=100)
    assert vae.log_prob(x).mean().item() == pytest.approx(truth, abs=0.02)
    # q can be exact here: nothing is left of the gap.
    assert gap.evidence - gap.elbo == pytest.approx(0.0, abs=0.02)


@pytest.mark.slow
@pytest.mark.parametrize(
    "objective", [MultipleImportanceWeightedBound(4, 2), CombinedImportanceWeightedBound(0.3, 4)]
)
def test_combined_bounds_reach_it_too(truth: float, objective):
    vae = linear_vae(objective=objective)
    x = rows()
    logpx.fit(
        vae, x, x, max_steps=1000, batch_size=256, learning_rate=0.02, noise=0.0, seed=0, progress=False
    )
    assert vae.log_prob(x).mean().item() == pytest.approx(truth, abs=0.02)


def test_an_e_step_moves_the_encoder_alone_and_an_m_step_all_the_rest():
    vae = linear_vae(e_steps=2).train()
    x = rows(64)
    optimiser = torch.optim.Adam(vae.parameters(), lr=0.01)
    moved = []
    for step in range(6):
        before = {name: parameter.detach().clone() for name, parameter in vae.named_parameters()}
        optimiser.zero_grad()
        torch.autograd.backward(-vae.log_prob(x).mean(), inputs=vae.trained_in(step))
        optimiser.step()
        changed = {
            name for name, parameter in vae.named_parameters() if not torch.equal(parameter, before[name])
        }
        moved.append({name.split(".")[0] for name in changed})
    assert moved == [{"encoder"}, {"encoder"}, {"decoder", "likelihood_family"}] * 2


def test_without_e_steps_all_move():
    assert linear_vae().trained_in(0) is None


@pytest.mark.parametrize(
    ("objective", "low", "high"),
    [
        (MultipleImportanceWeightedBound(1, 16), 16, 16),
        (MultipleImportanceWeightedBound(16, 1), 1, 1),
        (MultipleImportanceWeightedBound(4, 4), 1, 16),
        (CombinedImportanceWeightedBound(0.5, 16), 1, 16),
    ],
)
def test_combined_bounds_lie_between_their_ends(objective, low: int, high: int):
    vae = linear_vae().eval()
    x = rows(500)
    torch.manual_seed(1)
    log_weights = vae.log_weights(x, 16)[0].detach()
    ends = [
        log_weights.unflatten(0, (16 // k, k)).logsumexp(1).mean(0) - torch.tensor(float(k)).log()
        for k in (low, high)
    ]
    torch.manual_seed(1)
    found = objective.rows(vae, x, None, 0).detach()
    assert bool((found >= ends[0] - 1e-5).all())
    assert bool((found <= ends[1] + 1e-5).all())


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_beyond_its_range_is_refused(share: float):
    with pytest.raises(UsageError, match="share"):
        CombinedImportanceWeightedBound(share)


@pytest.mark.slow
def test_the_gap_is_divided_into_encoder_and_family(truth: float):
    vae = linear_vae()
    x = rows()
    logpx.fit(
        vae, x, x, max_steps=1000, batch_size=256, learning_rate=0.02, noise=0.0, seed=0, progress=False
    )
    before = {name: value.clone() for name, value in vae.state_dict().items()}
    with torch.no_grad():
        vae.encoder.bias[:LATENT] += 0.4
    worse = inference_gap(vae, x[:100], steps=300, draws=400)
    # The family is exact, so all that the spoilt encoder costs is amortization.
    assert worse.amortization > 0.2
    assert worse.approximation == pytest.approx(0.0, abs=0.03)
    with torch.no_grad():
        vae.encoder.bias[:LATENT] -= 0.4
    torch.testing.assert_close(dict(vae.state_dict()), before)
    with pytest.raises(UsageError, match="no rows"):
        inference_gap(vae, x[:0])
