"""Rows drawn in blocks: each depends on the seed and its number alone."""

import torch

from logpx.distributions import StandardNormal
from logpx.flows import RealNVP
from logpx.scoring import sample_blocks


def drawn(n: int, **options) -> torch.Tensor:
    return torch.cat(list(sample_blocks(StandardNormal(2), n, 32, **options)))


def test_row_i_depends_on_seed_and_i():
    assert torch.equal(drawn(100, seed=1)[:50], drawn(50, seed=1))
    assert not torch.equal(drawn(50, seed=1), drawn(50, seed=2))
    assert list(sample_blocks(StandardNormal(2), 0, 32, seed=1)) == []


def test_each_row_has_its_own_context():
    torch.manual_seed(0)
    flow = RealNVP(2, layers=2, hidden=(8,), context=1)
    for parameter in flow.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    contexts = torch.linspace(-2, 2, 40)[:, None]
    rows = torch.cat(list(sample_blocks(flow, 40, 32, contexts, seed=0)))
    for index in (0, 31, 39):
        same = torch.cat(list(sample_blocks(flow, 40, 32, contexts[index], seed=0)))
        torch.testing.assert_close(rows[index], same[index])
