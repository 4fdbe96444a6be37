"""A run that was stopped or killed at any step goes on to the weights of one that was not, bit for bit."""

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import logpx
from logpx.distributions import Distribution, FullNormal
from logpx.distributions.likelihoods import NormalLikelihood
from logpx.errors import ModelFolderError, ResourceError, UsageError
from logpx.files import flushing, folders
from logpx.files.lock import exclusive
from logpx.flows import NSF, RealNVP
from logpx.latent import GaussianMixture
from logpx.training import StopReason, checkpoints

ROWS = torch.randn(200, 2, generator=torch.Generator().manual_seed(0)) @ torch.tensor(
    [[2.0, 1.0], [0.0, 0.5]]
)
STEPS = 20


class Dropping(Distribution):
    """A density of one's own, which draws in training and has a buffer that training changes."""

    def __init__(self) -> None:
        super().__init__((2,))
        self.net = nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.3), nn.Linear(8, 1))
        self.mean = nn.Parameter(torch.zeros(2))
        self.register_buffer("calls", torch.zeros(()))

    def log_prob(self, x, context=None):
        if self.training:
            self.calls += 1.0
        return -((x - self.mean) ** 2).sum(1) / 2.0 - 2.0 + 0.1 * torch.tanh(self.net(x)[:, 0])

    def sample(self, n, context=None, seed=None):
        raise NotImplementedError


def vae() -> Distribution:
    return logpx.latent.VAE(NormalLikelihood(2), latent=1, hidden=(8,))


def flow() -> Distribution:
    return RealNVP(2, layers=2, hidden=(8,))


def made(build, seed: int = 1) -> Distribution:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build()


def fit(model: Distribution, data=ROWS, **options):
    # 25 rows a batch and 50 set aside: an epoch has six steps, so that most stops are within one.
    options = {"max_steps": STEPS, "batch_size": 25, "progress": False, "seed": 3, "noise": 0.1, **options}
    return logpx.fit(model, data, **options)


def bits(model: Distribution) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in model.state_dict().items()}


def stop_after(steps: int):
    seen = []

    def should_stop() -> bool:
        seen.append(None)
        return len(seen) > steps

    return should_stop


@pytest.mark.parametrize(
    "steps", [(0, 6, 9), pytest.param(range(STEPS + 1), marks=pytest.mark.slow)], ids=["some", "all"]
)
@pytest.mark.parametrize("build", [flow, Dropping, vae], ids=lambda build: build.__name__)
def test_resume_after_any_step_gives_the_same_bits(build, steps, tmp_path: Path):
    whole = made(build)
    reference = fit(whole)
    for step in steps:
        folder = tmp_path / str(step)
        stopped = fit(made(build), checkpoint=folder, should_stop=stop_after(step))
        assert stopped.stopped is (StopReason.REQUESTED if step < STEPS else StopReason.BUDGET)
        # Another start: all of it comes from the checkpoint.
        model = made(build, seed=99)
        result = fit(model, resume=folder)
        assert bits(model) == bits(whole), step
        assert result.best_validation == reference.best_validation
        assert [record.train for record in result.history] == [record.train for record in reference.history]
        assert result.history[-1].step == STEPS


def test_stream_and_several_interruptions(tmp_path: Path):
    parts = [ROWS[:90], ROWS[90:]]
    whole = made(flow)
    fit(whole, parts)
    for _ in range(5):
        model = made(flow)
        fit(model, parts, checkpoint=tmp_path / "run", resume=tmp_path / "run", should_stop=stop_after(4))
    model = made(flow)
    assert fit(model, parts, resume=tmp_path / "run").stopped is StopReason.BUDGET
    assert bits(model) == bits(whole)


def test_checkpoints_do_not_change_the_fit_and_two_are_kept(tmp_path: Path):
    whole, kept = made(flow), made(flow)
    fit(whole)
    fit(kept, checkpoint=tmp_path / "run", every=1e-9)
    assert bits(kept) == bits(whole)
    names = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert len(names) == 2
    assert names[-1] == f"step-{STEPS:09d}"


@pytest.mark.parametrize(
    ("seconds", "guess", "times"),
    [
        # Every 30 s where one takes 0.1 s, from the start or after the first.
        (0.1, 0, [30, 60, 90, 120, 150, 180, 210, 240]),
        # The first is guessed from 400 MB, and those that follow from what it took.
        (1.0, 400_000_000, [100, 130, 160, 200]),
        # Never within these minutes.
        (1.0, 2_000_000_000, []),
    ],
)
def test_checkpoints_take_a_fiftieth_of_the_time(monkeypatch, seconds: float, guess: int, times: list[int]):
    now = [0.0]
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now[0])
    pace, written = checkpoints.Pace(30.0, at_once=False), []
    for second in range(1, 241):
        now[0] = second
        if pace.is_due(lambda: guess):
            written.append(second)
            pace.took(seconds)
        assert seconds * len(written) <= 0.02 * second + 1e-9
    assert written == times


def test_damaged_checkpoint_gives_way_to_the_one_before(tmp_path: Path):
    folder = tmp_path / "run"
    whole = made(flow)
    fit(whole)
    fit(made(flow), checkpoint=folder, should_stop=stop_after(7))
    fit(made(flow), resume=folder, should_stop=stop_after(5))
    second = max(folder.glob("step-*"))
    (second / "tensors.safetensors").write_bytes(b"damaged")
    model = made(flow)
    with pytest.warns(UserWarning, match="an older checkpoint is used"):
        fit(model, resume=folder, should_stop=stop_after(0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit(model, resume=folder)
    assert bits(model) == bits(whole)
    for place in folder.glob("step-*"):
        (place / "state.json").write_text("{}")
    with pytest.warns(UserWarning, match="older"), pytest.raises(ModelFolderError):
        fit(made(flow), resume=folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 4}, "other seed"),
        ({"max_steps": 30}, r"other options \(max_steps, warm_up\)|other options \(max_steps\)"),
        ({"learning_rate": 0.1}, r"other options \(learning_rate\)"),
        ({"data": ROWS + 1.0}, "other data"),
        ({"model": NSF(2, layers=1)}, "other model"),
        ({"model": RealNVP(2, layers=2, hidden=(9,))}, "other model"),
    ],
    ids=str,
)
def test_another_fit_is_not_gone_on_with(tmp_path: Path, change: dict, message: str):
    fit(made(flow), checkpoint=tmp_path / "run", should_stop=stop_after(3))
    arguments = {"model": made(flow), "data": ROWS, **change}
    with pytest.raises(UsageError, match=message):
        fit(arguments.pop("model"), arguments.pop("data"), resume=tmp_path / "run", **arguments)


def test_arguments_that_do_not_go_together(tmp_path: Path):
    with pytest.raises(UsageError, match="no checkpoint to resume from"):
        fit(made(flow), resume=tmp_path / "nothing")
    with pytest.raises(UsageError, match="two folders"):
        fit(made(flow), resume=tmp_path / "a", checkpoint=tmp_path / "b")
    with pytest.raises(UsageError, match="every"):
        fit(made(flow), checkpoint=tmp_path / "a", every=0.0)
    fit(made(flow), checkpoint=tmp_path / "a", should_stop=stop_after(0))
    with pytest.raises(UsageError, match="another run"):
        fit(made(flow), checkpoint=tmp_path / "a")
    logpx.fit(FullNormal(2), ROWS, checkpoint=tmp_path / "c")
    assert not any((tmp_path / "c").iterdir())


def test_every_step_and_evaluation_is_seen():
    steps, evaluations = [], []
    result = fit(made(flow), on_step=steps.append, on_validation=evaluations.append)
    assert [one.step for one in steps] == list(range(1, STEPS + 1))
    assert [one.epoch for one in steps] == [step // 6 for step in range(STEPS)]
    assert evaluations == result.history
    trained = np.mean([one.train for one in steps])
    assert trained == pytest.approx(result.history[-1].train)


class Unsteady:
    """Stands in for ``os`` in the file layer: from operation k on, or at k alone, it fails or dies."""

    names = ("mkdir", "open", "write", "fsync", "close", "rename", "unlink", "rmdir")

    def __init__(self, fail_at: int | None, error: BaseException, forever: bool) -> None:
        self.fail_at, self.error, self.forever, self.count = fail_at, error, forever, 0

    def __getattr__(self, name: str):
        real = getattr(os, name)

        def operation(*args, **kwargs):
            self.count += 1
            late = self.fail_at is not None and self.count >= self.fail_at
            if late and (self.forever or self.count == self.fail_at):
                if name == "close":
                    real(*args)
                raise self.error
            return real(*args, **kwargs)

        return operation if name in self.names else real


class Dead(BaseException):
    """The process is gone."""


def kept_with_faults(monkeypatch, folder: Path, disk: Unsteady) -> BaseException | None:
    """Train a few steps, a checkpoint after each, on a file layer with faults; return what ended it."""
    with monkeypatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for module in (folders, flushing):
            patch.setattr(module, "os", disk)
        try:
            fit(made(flow), max_steps=4, checkpoint=folder, resume=folder, every=1e-9)
        except (Dead, ResourceError) as error:
            return error
    return None


@pytest.mark.parametrize(
    ("error", "forever", "stride"),
    [
        (Dead(), True, 5),
        (OSError(errno.ENOSPC, "No space left on device"), True, 11),
        pytest.param(Dead(), True, 1, marks=pytest.mark.slow),
        pytest.param(OSError(errno.ENOSPC, "No space left on device"), True, 1, marks=pytest.mark.slow),
        pytest.param(OSError(errno.EIO, "Input/output error"), False, 1, marks=pytest.mark.slow),
        pytest.param(OSError(errno.EACCES, "Permission denied"), True, 1, marks=pytest.mark.slow),
    ],
    ids=["dies", "full", "dies anywhere", "full anywhere", "fails once", "not permitted"],
)
def test_faults_at_every_operation(
    tmp_path: Path, monkeypatch, error: BaseException, forever: bool, stride: int
):
    whole = made(flow)
    fit(whole, max_steps=4)
    # Without this a checkpoint may not be due after a slow one.
    monkeypatch.setattr("logpx.training.checkpoints._SHARE", 1e9)
    counting = Unsteady(None, error, forever)
    assert kept_with_faults(monkeypatch, tmp_path / "counted", counting) is None
    assert counting.count > 60
    for k in range(1, counting.count + 1, stride):
        folder = tmp_path / str(k)
        ended = kept_with_faults(monkeypatch, folder, Unsteady(k, error, forever))
        if isinstance(error, Dead):
            assert isinstance(ended, Dead)
        elif ended is not None:
            # Only a first checkpoint that fails ends the fit: nothing is lost yet.
            assert ended.exit_code == 6
            assert ended.fix
            assert not list(folder.glob("step-*"))
        model = made(flow)
        fit(model, max_steps=4, checkpoint=folder, resume=folder)
        assert bits(model) == bits(whole), k
        assert not list(folder.glob(".*"))


def test_failing_checkpoint_is_loud_and_training_goes_on(tmp_path: Path, monkeypatch):
    save = folders._write_file

    def write(path: Path, content: bytes) -> None:
        if "step-000000000" not in str(path):
            raise OSError(errno.ENOSPC, "No space left on device")
        save(path, content)

    monkeypatch.setattr(folders, "_write_file", write)
    whole, model = made(flow), made(flow)
    fit(whole)
    with pytest.warns(UserWarning, match="no checkpoint was written after step"):
        result = fit(model, checkpoint=tmp_path / "run")
    assert bits(model) == bits(whole)
    assert [event.kind for event in result.events] == ["checkpoint"]


SCRIPT = """
import sys, time
sys.path.insert(0, {tests!r})
import torch
torch.set_num_threads(1)
from logpx.training import checkpoints
from test_checkpoints import bits, fit, flow, made
checkpoints._SHARE = 1e9
model = made(flow)
slow = lambda record: (print(record.step, flush=True), time.sleep({pause}))
fit(model, checkpoint={folder!r}, resume={folder!r}, every=1e-3, on_step=slow, max_steps=60)
"""


def started(folder: Path, pause: float) -> subprocess.Popen:
    code = SCRIPT.format(tests=str(Path(__file__).parent), folder=str(folder), pause=pause)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def test_two_fits_in_one_folder(tmp_path: Path):
    with exclusive(tmp_path), pytest.raises(UsageError, match=f"process {os.getpid()} on .* uses this"):
        fit(made(flow), checkpoint=tmp_path)
    fit(made(flow), checkpoint=tmp_path)


def test_holder_that_is_gone_does_not_count(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("logpx.files.lock.claimed", lambda folder: nullcontext(False))  # No locks here.
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with exclusive(tmp_path):
        holder = json.loads((tmp_path / "holder.json").read_text())
        with pytest.raises(UsageError, match="uses this folder"), exclusive(tmp_path):
            pass
        for gone in ({"process": ended.pid}, {"boot": "another"}):
            (tmp_path / "holder.json").write_text(json.dumps({**holder, **gone}))
            with exclusive(tmp_path):
                pass
        (tmp_path / "holder.json").write_text(json.dumps({**holder, "host": "elsewhere"}))
        with pytest.raises(UsageError, match="on elsewhere"), exclusive(tmp_path):
            pass


@pytest.mark.slow
def test_second_fit_in_one_folder_is_refused_and_a_dead_one_is_not(tmp_path: Path):
    process = started(tmp_path / "run", pause=0.05)
    try:
        process.stdout.readline()
        with pytest.raises(UsageError, match=f"process {process.pid} on .* uses this folder"):
            fit(made(flow), resume=tmp_path / "run", max_steps=60)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert json.loads((tmp_path / "run/holder.json").read_text())["process"] == process.pid
    whole, model = made(flow), made(flow)
    fit(whole, max_steps=60)
    fit(model, resume=tmp_path / "run", max_steps=60)
    assert bits(model) == bits(whole)
    assert not list((tmp_path / "run").glob(".*"))


@pytest.mark.slow
def test_killed_again_and_again(tmp_path: Path):
    folder = tmp_path / "run"
    generator = np.random.default_rng(0)
    kills = 0
    while True:  # Until a run has come to its end.
        process = started(folder, pause=0.02)
        process.stdout.readline()
        time.sleep(generator.uniform(0.0, 0.3))
        process.kill()
        process.communicate()
        if process.returncode == 0:
            break
        kills += 1
        assert kills < 50
    assert kills > 2
    whole, model = made(flow), made(flow)
    fit(whole, max_steps=60)
    fit(model, resume=folder, max_steps=60)
    assert bits(model) == bits(whole)


@pytest.mark.parametrize(
    ("build", "steps"),
    [
        (lambda: GaussianMixture(3, 2), (1, 7, 20)),
        (lambda: logpx.latent.FactorAnalysis(2, 1), (1, 3)),
        pytest.param(lambda: GaussianMixture(3, 2), range(1, 60), marks=pytest.mark.slow),
    ],
    ids=["mixture", "factors", "mixture, everywhere"],
)
def test_em_goes_on_to_the_same_bits(build, steps, tmp_path: Path):
    holes = ROWS.clone()
    holes[::7, 0] = torch.nan
    whole = build()
    reference = logpx.fit(whole, holes, restarts=2)
    for step in steps:
        folder = tmp_path / str(step)
        logpx.fit(build(), holes, restarts=2, checkpoint=folder, should_stop=stop_after(step))
        model = build()
        result = logpx.fit(model, holes, restarts=2, resume=folder)
        assert bits(model) == bits(whole), step
        assert result.history[-1].train == reference.history[-1].train
    with pytest.raises(UsageError, match="seed is 5, and the fit was begun with 0"):
        logpx.fit(build(), holes, restarts=2, resume=folder, seed=5)


def test_em_on_a_stream_goes_on_within_a_pass(tmp_path: Path):
    parts, whole = list(ROWS.split(60)), GaussianMixture(2, 2)
    logpx.fit(whole, parts, restarts=1, max_epochs=3)
    # Each pass has four batches, and the fit may be stopped before each.
    for step in (2, 5):
        folder = tmp_path / str(step)
        options = {"restarts": 1, "max_epochs": 3}
        logpx.fit(GaussianMixture(2, 2), parts, checkpoint=folder, should_stop=stop_after(step), **options)
        model = GaussianMixture(2, 2)
        logpx.fit(model, parts, resume=folder, **options)
        assert bits(model) == bits(whole), step


@pytest.mark.slow
@pytest.mark.parametrize("build", [flow, vae], ids=lambda build: build.__name__)
def test_files_after_every_one_of_fifty_steps_are_the_same(build, tmp_path: Path):
    def hashed(model: Distribution, name: str) -> str:
        logpx.save(model, tmp_path / name)
        return hashlib.sha256((tmp_path / name / "model.safetensors").read_bytes()).hexdigest()

    whole = made(build)
    fit(whole, max_steps=50)
    expected = hashed(whole, "whole")
    for step in range(51):
        folder = tmp_path / f"run-{step}"
        fit(made(build), max_steps=50, checkpoint=folder, should_stop=stop_after(step))
        model = made(build, seed=99)
        fit(model, max_steps=50, resume=folder)
        assert hashed(model, f"model-{step}") == expected, step
