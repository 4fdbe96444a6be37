"""EM by several processes gives the same bits as in one."""

import pytest

EM = """
import hashlib
import logpx.inference.shared_e_step as shared
from logpx.inference import expectation_maximisation_from
from logpx.latent import GaussianMixture

generator = torch.Generator().manual_seed(1)
rows = torch.randn(700, 3, generator=generator, dtype=torch.float64)
rows[:300] += 3.0
rows[5, 1] = rows[600, 0] = torch.nan
weights = torch.rand(700, generator=generator, dtype=torch.float64)
model = GaussianMixture(features=3, components=2).double()
calls = []
statistics = model.statistics
model.statistics = lambda *given: calls.append(len(given[0])) or statistics(*given)
batches = shared.LastingBatches(lambda: zip(rows.split(100), weights.split(100)))

def lead():
    found = expectation_maximisation_from(model, batches, rows, restarts=2, max_iterations=6)
    content = b"".join(tensor.numpy().tobytes() for tensor in model.state_dict().values())
    print(hashlib.sha256(content).hexdigest(), found.result.history[-1].hex())

by_all(model, shared.HANDLERS, lead)
print(sum(calls) // 100, file=sys.stderr)
"""


def outcome(processes):
    """Return what the leader printed, and how many batches each process had."""
    ended = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), ended
    return ended[0][0], [int(errors.splitlines()[-1]) for _, errors in ended]


def test_two_processes_share_the_batches_and_find_the_same_bits(several, alone):
    both, shares = outcome(several(EM, 2))
    single, number = alone(EM)
    number = int(number)
    assert both == single
    assert sum(shares) == number
    # Seven batches: four and three.
    assert 0 < shares[1] == number // 7 * 3


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 3, 4])
def test_a_stream_is_shared_too(several, alone, size):
    together, shares = outcome(
        several(EM.replace("shared.LastingBatches", "(lambda batches: batches)"), size)
    )
    single, number = alone(EM)
    number = int(number)
    assert together == single
    assert sum(shares) == number
    assert min(shares) > 0
