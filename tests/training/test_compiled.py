"""Training steps in native code: the same results, and never a failure."""

import math
import shutil
import warnings

import numpy as np
import pytest
import torch
from torch import nn

import logpx
from logpx import flows
from logpx.errors import UsageError
from logpx.training import compiled
from logpx.training.compiled import ALWAYS, AUTO, NEVER, StepDensity, compile_choice

ROWS = np.random.default_rng(0).normal(size=(400, 3)) @ np.array(
    [[2.0, 1.0, 0.0], [0.0, 0.3, 1.0], [0.0, 0.0, 1.0]]
)


def flow(dtype=torch.float32, kind=flows.RealNVP):
    torch.manual_seed(0)
    return kind(3, layers=2, hidden=(8,)).to(dtype)


def fitted(**options):
    model = flow()
    result = logpx.fit(model, ROWS, batch_size=64, progress=False, **options)
    return model, [event.message for event in result.events if event.kind == "compile"]


def as_eager(monkeypatch, backend="aot_eager"):
    """Trace as the compiler does, but leave native code out, which takes long to make."""
    genuine = torch.compile
    monkeypatch.setattr(torch, "compile", lambda f, **options: genuine(f, backend=backend, **options))
    torch.compiler.reset()


def weights(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


@pytest.mark.parametrize("value", ["yes", None, 1, 0, ["on"], "ON"])
def test_other_values_are_refused(value):
    with pytest.raises(UsageError, match="compile is"):
        logpx.fit(flow(), ROWS, compile=value)


def test_choices_by_name():
    assert [compile_choice(value) for value in ("on", True, "off", False, "auto")] == [
        ALWAYS, ALWAYS, NEVER, NEVER, AUTO
    ]  # fmt: skip


def test_compiled_steps_give_the_same_weights(monkeypatch):
    as_eager(monkeypatch)
    plain, none = fitted(max_steps=12, compile="off")
    found, messages = fitted(max_steps=12, compile="on")
    assert none == []
    assert len(messages) == 1
    assert messages[0].startswith("compiled in")
    torch.testing.assert_close(weights(found), weights(plain), rtol=1e-4, atol=1e-5)
    assert torch.distributions.Distribution._validate_args


def test_compiled_code_serves_the_steps(monkeypatch):
    calls = []

    def compiler(function, **options):
        assert options["fullgraph"]
        return lambda x, context: calls.append(len(x)) or function(x, context)

    monkeypatch.setattr(torch, "compile", compiler)
    plain, _ = fitted(max_steps=12, compile="off")
    found, _ = fitted(max_steps=12, compile="on")
    # One call for the comparison, and one per step: all batches have the same size.
    assert calls == [64] * 13
    assert torch.equal(weights(found), weights(plain))


def broken(function, **options):
    raise RuntimeError("no working C++ compiler\nfound")


def wrong(function, **options):
    return lambda x, context: function(x, context) * 1.01


def wrong_gradient(function, **options):
    def call(x, context):
        log_prob = function(x, context)
        return log_prob.detach() + 0.9 * (log_prob - log_prob.detach())

    return call


def failing_later(function, **options):
    def call(x, context):
        raise OSError("disk full")

    return call


@pytest.mark.parametrize(
    ("compiler", "why"),
    [
        (broken, "no working C++ compiler found"),
        (failing_later, "disk full"),
        (wrong, "differs from the model"),
        (wrong_gradient, "differs from the model"),
    ],
)
def test_a_compiler_that_fails_or_errs_is_left_alone(monkeypatch, compiler, why):
    monkeypatch.setattr(torch, "compile", compiler)
    plain, _ = fitted(max_steps=6, compile="off")
    found, messages = fitted(max_steps=6, compile="on")
    assert len(messages) == 1
    assert why in messages[0]
    assert messages[0].endswith("training goes on without compiled code")
    assert "\n" not in messages[0]
    assert torch.equal(weights(found), weights(plain))


def test_without_a_c_compiler(monkeypatch, tmp_path):
    torch.compiler.reset()
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", ("no-such-compiler",))
    monkeypatch.setattr("torch._inductor.config.fx_graph_cache", False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model, messages = fitted(max_steps=3, compile="on")
    assert len(messages) == 1
    assert "could not be compiled" in messages[0]
    assert torch.isfinite(weights(model)).all()


class Noisy(nn.Module):
    """A conditioner that drops units."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(1, 8), nn.Dropout(0.5), nn.Linear(8, 4))

    def forward(self, x, context=None):
        return self.net(x)


def test_what_may_draw_is_not_compiled(monkeypatch):
    monkeypatch.setattr(torch, "compile", broken)
    layer = logpx.transforms.Coupling(3, net=Noisy())
    model = logpx.distributions.Flow(logpx.distributions.StandardNormal(3), layer)
    result = logpx.fit(model, ROWS, max_steps=3, compile="on", progress=False)
    (event,) = [event for event in result.events if event.kind == "compile"]
    assert "only flows that draw no random numbers" in event.message
    mixture = logpx.distributions.Mixture([flow(), flow()])
    result = logpx.fit(mixture, ROWS, max_steps=3, compile="on", progress=False)
    assert any("only flows" in event.message for event in result.events)


@pytest.mark.parametrize(
    ("options", "compiles"),
    [
        ({"max_time": 1e6, "max_epochs": 1e6}, True),
        ({"max_epochs": 1e6}, True),
        ({"max_epochs": 20}, False),
        ({"max_steps": 10**9}, False),
        ({"max_steps": 10**9, "max_time": 1e6}, True),
        ({"max_time": 5.0}, False),
    ],
)
def test_auto_weighs_the_steps_to_come(monkeypatch, options, compiles):
    seen = []
    monkeypatch.setattr(StepDensity, "_compile", lambda self, batch: seen.append(batch))
    # Until just after the decision.
    steps = iter(range(20))
    fitted(should_stop=lambda: next(steps, None) is None, **options)
    assert len(seen) == compiles


def test_auto_leaves_runs_with_checkpoints_alone(monkeypatch, tmp_path):
    monkeypatch.setattr(StepDensity, "_compile", lambda self, batch: pytest.fail("compiled"))
    steps = iter(range(20))
    fitted(max_time=1e6, checkpoint=tmp_path / "run", should_stop=lambda: next(steps, None) is None)


def test_compiled_code_that_is_not_faster_is_given_up(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda function, **options: function)
    notes = []
    model = flow()
    density = StepDensity(model, AUTO, 4, notes.append)
    batch = logpx.training.batches.Batch(torch.zeros(4, 3), torch.arange(4))
    now = [0.0]
    monkeypatch.setattr(compiled.time, "perf_counter", lambda: now[0])
    for step in range(40):
        density.before_step(step, lambda each: 1e9, batch)
        density(batch)
        now[0] += 0.010
        density.after_step(batch)
    assert notes[0].startswith("compiled in")
    assert notes[1].startswith("compiled steps took 1.00 times as long as plain ones")
    assert len(notes) == 2


def test_other_batches_use_the_model_itself(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda function, **options: function)
    density = StepDensity(flow(), ALWAYS, 4, lambda message: None)
    batch = logpx.training.batches.Batch(torch.zeros(4, 3), torch.arange(4))
    density.before_step(0, lambda each: math.inf, batch)
    monkeypatch.setattr(density, "_compiled", lambda x, context: pytest.fail("compiled code was used"))
    assert density(batch.slice(0, 3)).shape == (3,)


def test_the_global_generator_is_left_alone(monkeypatch):
    as_eager(monkeypatch)
    before = torch.get_rng_state()
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    model = flow()
    before = torch.get_rng_state()
    logpx.fit(model, ROWS, max_steps=3, compile="on", progress=False)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
@pytest.mark.filterwarnings("ignore:`torch._prims_common.check`:FutureWarning")
@pytest.mark.skipif(shutil.which("c++") is None, reason="needs a C++ compiler")
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize("kind", [flows.RealNVP, flows.MAF, flows.NSF])
def test_native_code_agrees(kind, dtype, tolerance):
    torch.compiler.reset()
    model = flow(dtype, kind)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.0, 0.3, generator=torch.Generator().manual_seed(1))
    x = torch.tensor(ROWS[:64], dtype=dtype)
    batch = logpx.training.batches.Batch(x, torch.arange(64))
    notes = []
    density = StepDensity(model, ALWAYS, 64, notes.append)
    density.before_step(0, lambda each: math.inf, batch)
    assert notes[0].startswith("compiled in")
    expected = model.log_prob(x)
    torch.testing.assert_close(
        density(batch), expected, rtol=tolerance, atol=tolerance * float(expected.detach().abs().max())
    )
