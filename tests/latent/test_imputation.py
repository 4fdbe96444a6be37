"""How components fill in missing cells: what is not registered is refused."""

import pytest
import torch

from logpx.errors import UsageError
from logpx.latent.components import Components
from logpx.latent.imputation import best_cells, drawn_cells, embedded


def test_unknown_components_are_refused(monkeypatch):
    monkeypatch.setattr(Components, "__abstractmethods__", frozenset())
    own, x = Components(2, 1), torch.zeros(3, 1)
    with pytest.raises(UsageError, match="Components"):
        best_cells(own, x, torch.full((3, 2), 0.5))
    with pytest.raises(UsageError, match="Components"):
        drawn_cells(own, x, torch.zeros(3).long(), None)
    assert embedded(own, x) is x
