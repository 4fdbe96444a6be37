"""Every public class that can be saved: it survives bit for bit, and its log_prob is what its kind says."""

import importlib
import inspect
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from logpx.configuration import Configured, class_name
from logpx.distributions import (
    DiagonalNormal,
    LowerBound,
    OrderAgnostic,
    TargetLast,
)
from logpx.distributions.likelihoods import (
    FixedScale,
    NormalLikelihood,
)
from logpx.flows import MAF, RealNVP
from logpx.images import (
    ImageModel,
    LinearPixels,
)
from logpx.latent import (
    VAE,
)
from logpx.nets import (
    MADE,
)
from logpx.storage import REGISTRY, load, save
from logpx.tables import TableModel
from logpx.tables.scales import Scale

ROOMS = ["transforms", "nets", "distributions", "distributions.likelihoods", "flows", "latent", "tables"]
ROOMS += ["latent.robust", "tables.scales", "images", "distributions.columns", "scoring"]

# Contracts that no object is an instance of directly.
ABSTRACT = {"Distribution", "Matrix", "Partition", "Transform", "Univariate", "Scale", "Dequantisation"}
ABSTRACT |= {"LatentMixture", "LinearGaussian", "Likelihood", "NoiseScale"}
ABSTRACT |= {"Objective", "VariationalPosterior", "Prior", "ColumnDistribution"}


def public_configured_classes() -> dict[str, type]:
    found = {}
    for room in ROOMS:
        module = importlib.import_module(f"logpx.{room}")
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value) and issubclass(value, Configured) and name not in ABSTRACT:
                name = class_name(value)
                assert found.setdefault(name, value) is value, f"two classes are named {name}"
    return found


def test_registry_is_every_public_class():
    assert dict(REGISTRY) == public_configured_classes()


def test_registry_cannot_be_changed():
    with pytest.raises(TypeError):
        REGISTRY["Thing"] = object


def randomised(model: torch.nn.Module) -> torch.nn.Module:
    """Give every parameter another value than its constructor does."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
    return model


def numbers(model: torch.nn.Module) -> list[torch.Tensor]:
    if isinstance(model, TableModel):
        drawn = model.eval().sample(50, seed=3)
        evaluation = model.evaluate(drawn, seed=1)
        means = [evaluation.mean, evaluation.standard_error, evaluation.baselines["simple"].gain]
        return [
            model.log_prob(drawn, seed=2),
            torch.tensor(drawn.to_pandas().replace({"no": 0, "yes": 1, "?": 2}).to_numpy(float)),
            torch.tensor(means),
        ]
    if isinstance(model, ImageModel):
        model.eval()
        x = torch.randint(
            0, model.levels, (4, *model.event_shape), generator=torch.Generator().manual_seed(2)
        )
        context = model.context_of([0, 1, 1, 0]) if model.context_features else None
        bound = model.log_prob_lower(x, draws=2, seed=3, context=context)
        parts = [baseline.log_prob(x) for baseline in model.baselines.values()]
        return [bound.log_prob, model.sample(4, context, seed=5), *parts]
    if isinstance(model, (MADE, Scale)):
        dtype = next(iter(model.state_dict().values())).dtype
        output = model(torch.linspace(0.05, 0.95, 12, dtype=dtype).view(4, 3))
        return list(output) if isinstance(model, Scale) else [output]
    if isinstance(model, (VAE, OrderAgnostic, TargetLast)):
        # In training mode it draws anew each time.
        model.eval()
    context = torch.full((4, *model.context_shape), 0.3) if model.context_features else None
    dtype = next((t.dtype for t in model.state_dict().values() if t.is_floating_point()), torch.float32)
    context = None if context is None else context.to(dtype)
    generator = torch.Generator().manual_seed(2)
    x = torch.rand(4, *model.event_shape, generator=generator, dtype=dtype)
    return [model.log_prob(x, context), model.sample(4, context, seed=5)]


@pytest.mark.parametrize("double", [False, True], ids=["float32", "float64"])
def test_model_survives_bit_for_bit(make, double: bool, tmp_path: Path):
    model = randomised(make())
    model = (model.double() if double else model).eval()
    save(model, tmp_path / "model")
    copy = load(tmp_path / "model")
    assert type(copy) is type(model)
    weights, copied = model.state_dict(), copy.state_dict()
    assert list(weights) == list(copied)
    for key, tensor in weights.items():
        assert copied[key].dtype == tensor.dtype
        assert torch.equal(copied[key], tensor)
    for value, same in zip(numbers(model), numbers(copy), strict=True):
        assert same.dtype == value.dtype
        assert torch.equal(value, same)


def test_every_class_is_saved_by_a_test(every_model):
    saved = set()
    for make in every_model.values():
        pending = [make()]
        while pending:
            item = pending.pop()
            if isinstance(item, Configured):
                saved.add(class_name(type(item)))
                pending.extend(getattr(item, "_arguments", {}).values())
            elif isinstance(item, (list, tuple)):
                pending.extend(item)
            elif isinstance(item, dict):
                pending.extend(item.values())
    assert saved == set(REGISTRY)


def test_loading_draws_no_random_number(tmp_path: Path):
    save(MAF(3), tmp_path / "model")
    before = torch.get_rng_state()
    load(tmp_path / "model")
    assert torch.equal(before, torch.get_rng_state())


def test_loaded_model_can_be_trained_on(tmp_path: Path):
    save(RealNVP(3), tmp_path / "model")
    copy = load(tmp_path / "model")
    copy.train().log_prob(torch.ones(2, 3)).sum().backward()
    gradients = [parameter.grad for parameter in copy.parameters()]
    assert gradients
    assert all(gradient is not None for gradient in gradients)


def both(model: torch.nn.Module, draws: int) -> tuple[torch.Tensor, LowerBound]:
    """Return log_prob and log_prob_lower of rows that the model can produce."""
    if isinstance(model, TableModel):
        rows = model.sample(50, seed=3)
        return model.log_prob(rows, draws=draws), model.log_prob_lower(rows, draws=draws)
    context = torch.full((5, *model.context_shape), 0.3) if model.context_features else None
    x = model.sample(5, context, seed=3)
    return model.log_prob(x, context), model.log_prob_lower(x, draws=draws, context=context)


def test_log_prob_is_what_kind_says(make_scored):
    model = randomised(make_scored()).eval()
    log_prob, bound = both(model, draws=20)
    assert isinstance(bound, LowerBound)
    assert log_prob.shape == bound.log_prob.shape == bound.standard_error.shape
    if model.kind == "exact":
        torch.testing.assert_close(bound.log_prob, log_prob)
        assert not bound.standard_error.any()
    else:
        assert model.kind in {"lower bound", "estimate"}
        assert bool((bound.standard_error > 0).all())
        # Of a single draw nothing is known about the error.
        assert bool(both(model, draws=1)[1].standard_error.isnan().all())


def linear_vae() -> tuple[VAE, torch.Tensor, torch.Tensor]:
    """Return a VAE that is probabilistic PCA, rows, and their log p(x) = log N(x; b, W W^T + s^2 I)."""
    # Where the columns of W are orthogonal, M = W^T W + s^2 I is diagonal, and so is the posterior
    # N(M^-1 W^T (x - b), s^2 M^-1).
    w = torch.tensor([[1.0, 0.0], [0.0, 0.8], [0.5, 0.0]], dtype=torch.float64)
    b, variance = torch.tensor([0.3, -0.2, 0.0], dtype=torch.float64), 0.49
    m = (w * w).sum(0) + variance
    decoder, encoder = torch.nn.Linear(2, 3), torch.nn.Linear(3, 4)
    model = VAE(NormalLikelihood(3, FixedScale(0.7)), 2, encoder=encoder, decoder=decoder).double().eval()
    with torch.no_grad():
        decoder.weight.copy_(w)
        decoder.bias.copy_(b)
        encoder.weight.copy_(torch.cat([w.T / m[:, None], torch.zeros(2, 3)]))
        # Somewhat wrong, so that the bound is loose.
        encoder.bias.copy_(torch.cat([0.1 - (w.T @ b) / m, 0.5 * (variance / m).log() + 0.2]))
    x = torch.randn(40, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    covariance = (w @ w.T + variance * torch.eye(3)).numpy()
    return model, x, torch.from_numpy(stats.multivariate_normal(b.numpy(), covariance).logpdf(x))


def images_of_a_normal() -> tuple[ImageModel, torch.Tensor, torch.Tensor]:
    """Return a normal distribution of dequantised levels, images, and the logarithm of their probability."""
    shape, levels = (1, 2, 2), 8
    model = ImageModel(DiagonalNormal(shape), levels, preprocessing=LinearPixels(shape, levels)).eval()
    x = torch.randint(0, levels, (40, *shape), generator=torch.Generator().manual_seed(0))
    # Levels 0..8 are [-1, 1] to the flow.
    edges = [stats.norm.cdf((x.numpy() + end) / 4 - 1) for end in (0.0, 1.0)]
    return model, x, torch.from_numpy(np.log(edges[1] - edges[0]).sum((1, 2, 3)))


@pytest.mark.parametrize("case", [linear_vae, images_of_a_normal])
def test_a_bound_is_below_the_log_prob_that_is_known_otherwise(case):
    model, x, truth = case()
    assert model.kind == "lower bound"
    loose, tight = (model.log_prob_lower(x, draws=draws) for draws in (64, 2048))
    for bound in (loose, tight):
        assert bool((bound.log_prob < truth + 4 * bound.standard_error).all())
    assert bool(tight.standard_error.mean() < loose.standard_error.mean() / 4)
    assert tight.log_prob.mean() < truth.mean() + 0.01
    assert tight.log_prob.mean() > truth.mean() - 0.2
