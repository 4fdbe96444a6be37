"""Held-out log p of RealNVP, MAF, NSF and a continuous flow, beside a Gaussian and MADE, on BSDS300 patches.

The patches are drawn from the images with fixed seeds (`_bsds300.py`). They are not those of the file behind
the published figures, with which they are comparable to perhaps half a nat: a full Gaussian, always fitted
first as a check, has 96.27 ± 0.13 nats by this recipe, and 96.67 ± 0.13 on that file.

Run: python benchmarks/patches.py --data FOLDER [--minutes M] [--threads N] [--only NAME ...] [--rows N]

FOLDER holds `images/train` (200 images: 180 to train on and 20 to stop on) and `images/val` (the 100 of the
test set), or a folder `bsds300` that does. A table goes to stdout, in Markdown; --json writes the details.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from _bsds300 import FEATURES, TRAINING_ROWS, Patches, read

import logpx
from logpx.configuration import describe
from logpx.distributions import Distribution, FullNormal
from logpx.flows import MAF, NSF, FixedStepSolver, FlowMatching, RealNVP

# Time alone ends a fit.
MANY = 10**9
# How many validation patches are scored during training; all of them are scored afterwards.
STOPPING_ROWS = 20_000
# The log p of a full Gaussian on these test patches, and how far another draw of them may lie from it.
GAUSSIAN, TOLERANCE = 96.27, 0.6


@dataclass(frozen=True)
class Candidate:
    """A model, how it is fitted, and the published figure (mean, two standard errors) for its kind."""

    build: Callable[[], Distribution]
    published: tuple[float, float]
    published_as: str
    options: dict[str, float] = field(default_factory=dict)
    # Whether rows are whitened first: paths to features of a thousandth of the spread are too steep.
    whitened: bool = False


CANDIDATES = {
    "Gaussian": Candidate(lambda: FullNormal(FEATURES), (96.67, 0.25), "Gaussian"),
    "MADE": Candidate(
        lambda: MAF(FEATURES, layers=1, hidden=(512, 512)),
        (148.85, 0.28),
        "MADE",
        {"batch_size": 512, "learning_rate": 3e-3},
    ),
    "RealNVP": Candidate(
        lambda: RealNVP(FEATURES, layers=10, hidden=(256, 256)),
        (153.28, 1.78),
        "RealNVP (10)",
        {"batch_size": 512, "learning_rate": 3e-3},
    ),
    "MAF": Candidate(
        lambda: MAF(FEATURES, layers=5, hidden=(512, 512)),
        (155.69, 0.28),
        "MAF (5)",
        {"batch_size": 512, "learning_rate": 3e-3},
    ),
    "NSF": Candidate(
        lambda: NSF(FEATURES, autoregressive=True, layers=3, hidden=(512, 512), bins=4, affine=True),
        (157.31, 0.28),
        "RQ-NSF (AR)",
        {"batch_size": 512, "learning_rate": 3e-3},
    ),
    "FlowMatching": Candidate(
        lambda: FlowMatching(
            FEATURES, hidden=(256, 256, 256), trace="hutchinson", draws=8, solver=FixedStepSolver(25)
        ),
        (math.nan, math.nan),
        "none",
        {"batch_size": 512, "learning_rate": 2e-3},
        whitened=True,
    ),
}
# The continuous flow would take hours to score all test patches.
_USUAL = [name for name, candidate in CANDIDATES.items() if not candidate.whitened]


@dataclass
class Outcome:
    """The result of one model; figures are nats per patch, with standard errors."""

    test: float
    test_error: float
    validation: float
    validation_error: float
    gain: float | None
    gain_error: float | None
    parameters: int
    steps: int
    epochs: float
    seconds: float
    stopped: str
    events: list[str]
    options: dict[str, float]
    description: object


def score(model: Distribution, rows: torch.Tensor) -> torch.Tensor:
    """Return log p of rows in float64."""
    with torch.no_grad():
        return torch.cat([model.log_prob(part).double() for part in rows.split(4096)])


class Whitening:
    """The linear map after which training rows have the covariance 1, with its log abs(det)."""

    def __init__(self, rows: torch.Tensor) -> None:
        self.mean = rows.double().mean(0)
        self.factor = torch.linalg.cholesky(torch.cov(rows.double().T))
        self.ladj = -self.factor.diagonal().log().sum()

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        """Return whitened rows."""
        centred = (rows.double() - self.mean).T
        return torch.linalg.solve_triangular(self.factor, centred, upper=False).T.float()


def mean_and_error(values: torch.Tensor) -> tuple[float, float]:
    """Return the mean and its standard error."""
    return values.mean().item(), values.std().item() / math.sqrt(len(values))


def measure(
    candidate: Candidate, data: Patches, minutes: float, seed: int, baseline: torch.Tensor | None
) -> tuple[Outcome, torch.Tensor]:
    """Fit a model within its time and score it; also return log p of the test patches."""
    torch.manual_seed(seed)
    model = candidate.build()
    start = time.monotonic()
    ladj = 0.0
    if candidate.whitened:
        white = Whitening(data.training)
        ladj = float(white.ladj)
        data = replace(
            data,
            training=white(data.training),
            validation=white(data.validation),
            test=white(data.test),
        )
    limits = {"max_time": 60.0 * minutes, "max_steps": MANY, "patience": MANY} if candidate.options else {}
    result = logpx.fit(
        model,
        data.training,
        data.validation[:STOPPING_ROWS],
        **candidate.options,
        **limits,
        seed=seed,
        progress=False,
    )
    seconds = time.monotonic() - start
    log_prob = score(model, data.test) + ladj
    gain = (None, None) if baseline is None else mean_and_error(log_prob - baseline)
    steps = max((record.step for record in result.history), default=0)
    outcome = Outcome(
        *mean_and_error(log_prob),
        *mean_and_error(score(model, data.validation) + ladj),
        *gain,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        steps=steps,
        epochs=steps * candidate.options.get("batch_size", 0) / len(data.training),
        seconds=seconds,
        stopped=result.stopped.value,
        events=[event.message for event in result.events],
        options=candidate.options,
        description=describe(model),
    )
    return outcome, log_prob


def row(name: str, candidate: Candidate, outcome: Outcome) -> str:
    """Return a row of the table."""
    published, two_errors = candidate.published
    known = f"{candidate.published_as}: {published:.2f} (2 s.e. {two_errors:.2f})"
    gain = "" if outcome.gain is None else f"{outcome.gain:+.2f} ± {outcome.gain_error:.2f}"
    cells = [
        name,
        f"{outcome.test:.2f} ± {outcome.test_error:.2f}",
        gain,
        f"{outcome.validation:.2f}",
        "" if math.isnan(published) else known,
        f"{outcome.parameters:,}",
        f"{outcome.steps:,}",
        f"{outcome.epochs:.1f}",
        f"{outcome.seconds:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


HEADER = [
    "model",
    "test, nats",
    "gain over the Gaussian",
    "validation",
    "published",
    "weights",
    "steps",
    "epochs",
    "seconds",
]


def main() -> None:
    """Draw the patches, fit, score, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with the images")
    parser.add_argument("--minutes", type=float, default=20.0, help="time for each model (default 20)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=list(CANDIDATES), help="fit only these models")
    parser.add_argument(
        "--rows", type=int, default=TRAINING_ROWS, help="training patches (default 1,000,000)"
    )
    parser.add_argument("--test-rows", type=int, help="score so many test and validation patches only")
    parser.add_argument("--seed", type=int, default=0, help="for weights and batches; the patches are fixed")
    parser.add_argument("--json", type=Path, help="write the results here after each model")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    data = read(arguments.data, arguments.rows)
    if arguments.test_rows:
        # A continuous flow takes thousands of times as long to score a row as to train on it.
        aside = slice(0, arguments.test_rows)
        data = replace(data, validation=data.validation[aside], test=data.test[aside])
    setting = {
        "minutes": arguments.minutes,
        "threads": arguments.threads,
        "seed": arguments.seed,
        "rows": [len(part) for part in (data.training, data.validation, data.test)],
        "validation_images": data.validation_images,
        "machine": platform.machine(),
        "versions": {"logpx": logpx.__version__, "torch": torch.__version__},
    }
    training, validation, test = setting["rows"]
    print(
        f"logpx {logpx.__version__}, torch {torch.__version__}, {platform.machine()}, "
        f"{arguments.threads} threads; {arguments.minutes:g} minutes a model; "
        f"{training:,} training, {validation:,} validation and {test:,} test patches; ± is one standard error"
    )
    print(f"| {' | '.join(HEADER)} |\n{'|---' * len(HEADER)}|", flush=True)
    outcomes: dict[str, Outcome] = {}
    baseline = None
    for name in [name for name in CANDIDATES if name in {"Gaussian", *(arguments.only or _USUAL)}]:
        outcomes[name], log_prob = measure(
            CANDIDATES[name], data, arguments.minutes, arguments.seed, baseline
        )
        if name == "Gaussian":
            baseline = log_prob
            if abs(outcomes[name].test - GAUSSIAN) > TOLERANCE:
                print(f"these are other patches: the Gaussian should be near {GAUSSIAN}", file=sys.stderr)
        print(row(name, CANDIDATES[name], outcomes[name]), flush=True)
        if arguments.json:
            results = {key: asdict(outcome) for key, outcome in outcomes.items()}
            arguments.json.write_text(json.dumps({**setting, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
