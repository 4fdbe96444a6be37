"""Gradient descent by several processes follows the path of one."""

import json

import pytest

STEPS = """
import json
from logpx.training.gradients import HANDLERS
import logpx.processes.worker as worker
from logpx.flows import MAF
from logpx.training import fit

DTYPE, SIZE, WEIGHTED = torch.{dtype}, {size}, {weighted}
generator = torch.Generator().manual_seed(1)
rows = torch.randn(400, 3, generator=generator, dtype=torch.float64)
rows[:, 1] += rows[:, 0] ** 2
weights = torch.rand(400, generator=generator, dtype=torch.float64) if WEIGHTED else None
torch.manual_seed(0)
model = MAF(features=3, layers=2, hidden=(16,)).to(DTYPE)
orders = []
take = HANDLERS["gradients"]
HANDLERS["gradients"] = lambda *given: orders.append(1) or take(*given)

def lead():
    given = None if weights is None else weights.to(DTYPE)
    result = fit(model, rows.to(DTYPE), weights=given, max_steps=20, batch_size=32 * SIZE + 1, seed=3)
    print(json.dumps([[p.double().flatten().tolist() for p in model.parameters()],
                      [[r.train, r.validation, r.gradient_norm] for r in result.history]]))

by_all(model, HANDLERS, lead)
print(len(orders), file=sys.stderr)
"""


def numbers(value):
    if isinstance(value, list):
        for item in value:
            yield from numbers(item)
    elif value is not None:
        yield value


def compare(several, alone, size, dtype, tolerance, weighted=False):
    script = STEPS.format(dtype=dtype, size=size, weighted=weighted)
    processes = several(script, size)
    ended = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0] * size, ended
    assert [int(errors.splitlines()[-1]) for _, errors in ended] == [0] + [20] * (size - 1)
    together, single = (list(numbers(json.loads(text))) for text in (ended[0][0], alone(script)[0]))
    assert len(together) > 300
    assert together == pytest.approx(single, rel=tolerance, abs=tolerance)


def test_twenty_steps_of_two_processes_in_double_precision(several, alone):
    compare(several, alone, 2, "float64", 1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "dtype", "tolerance", "weighted"),
    [(2, "float32", 1e-4, False), (4, "float32", 1e-4, True), (3, "float64", 1e-9, True)],
)
def test_twenty_steps_of_more_processes(several, alone, size, dtype, tolerance, weighted):
    compare(several, alone, size, dtype, tolerance, weighted)
