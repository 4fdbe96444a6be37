"""EM by several processes gives the bits of one process, and gradient descent its path within rounding."""

import json

import pytest

START = """
import hashlib, json
from logpx.inference import expectation_maximisation_from
from logpx.inference.shared_e_step import HANDLERS, LastingBatches
from logpx.latent import GaussianMixture
from logpx.flows import MAF
from logpx.training import fit
from logpx.training.gradients import HANDLERS as OF_GRADIENTS

generator = torch.Generator().manual_seed(1)
rows = torch.randn(700, 3, generator=generator, dtype=torch.float64)
rows[:300] += 3.0
rows[:, 1] += rows[:, 0] ** 2
weights = torch.rand(700, generator=generator, dtype=torch.float64)
holes = rows.clone()
holes[5, 1] = holes[600, 0] = torch.nan

mixture = GaussianMixture(features=3, components=2).double()
batches, steps = [], []
statistics = mixture.statistics
mixture.statistics = lambda *given: batches.append(1) or statistics(*given)

torch.manual_seed(0)
flow = MAF(features=3, layers=2, hidden=(16,)).double()
take = OF_GRADIENTS["gradients"]
handlers = HANDLERS | {"gradients": lambda *given: steps.append(1) or take(*given)}

def by_em(kind):
    parts = kind(lambda: zip(holes.split(100), weights.split(100)))
    found = expectation_maximisation_from(mixture, parts, holes, restarts=2, max_iterations=6)
    content = b"".join(tensor.numpy().tobytes() for tensor in mixture.state_dict().values())
    print(json.dumps([hashlib.sha256(content).hexdigest(), found.result.history[-1].hex()]))

def by_gradients(dtype, size, weighted):
    flow.to(dtype)
    given = weights.to(dtype) if weighted else None
    result = fit(flow, rows.to(dtype), weights=given, max_steps=20, batch_size=32 * size + 1, seed=3)
    print(json.dumps([[p.double().flatten().tolist() for p in flow.parameters()],
                      [[r.train, r.validation, r.gradient_norm] for r in result.history]]))
"""

END = """
by_all([mixture, flow], handlers, lead)
print(len(batches), len(steps), file=sys.stderr)
"""


def outcome(processes):
    """Return what the leader printed, and how many batches and steps each process had a part in."""
    ended = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), ended
    counts = [[int(count) for count in errors.split()[-2:]] for _, errors in ended]
    return ended[0][0].splitlines(), counts


def numbers(value):
    if isinstance(value, list):
        for item in value:
            yield from numbers(item)
    elif value is not None:
        yield value


def require_close(one: str, other: str, tolerance: float):
    one, other = (list(numbers(json.loads(text))) for text in (one, other))
    assert len(one) > 300
    assert one == pytest.approx(other, rel=tolerance, abs=tolerance)


def test_two_processes(several, alone):
    lead = "def lead():\n    by_em(LastingBatches)\n    by_gradients(torch.float64, 2, True)\n"
    script = START + lead + END
    (em, path), counts = outcome(several(script, 2))
    printed, counted = alone(script)
    single_em, single_path = printed.splitlines()
    number, _ = map(int, counted.split())
    assert em == single_em
    require_close(path, single_path, 1e-9)
    assert counts[0][0] + counts[1][0] == number
    # Seven batches: four and three.
    assert counts[1] == [number // 7 * 3, 20]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["LastingBatches", "lambda batches: batches"])
@pytest.mark.parametrize("size", [3, 4])
def test_em_of_more_processes(several, alone, size, kind):
    script = START + f"def lead():\n    by_em({kind})\n" + END
    (em,), counts = outcome(several(script, size))
    printed, counted = alone(script)
    assert em == printed.strip()
    assert sum(number for number, _ in counts) == int(counted.split()[0])
    assert min(number for number, _ in counts) > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "dtype", "tolerance", "weighted"),
    [(2, "float32", 1e-4, False), (4, "float32", 1e-4, True), (3, "float64", 1e-9, False)],
)
def test_gradients_of_more_processes(several, alone, size, dtype, tolerance, weighted):
    script = START + f"def lead():\n    by_gradients(torch.{dtype}, {size}, {weighted})\n" + END
    (path,), counts = outcome(several(script, size))
    require_close(path, alone(script)[0], tolerance)
    assert [steps for _, steps in counts] == [0] + [20] * (size - 1)
