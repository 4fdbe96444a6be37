"""Whatever needs data is started once, wherever it is nested: every class that can be saved."""

import warnings

import pytest
import torch
from torch import nn

import logpx
from logpx import flows
from logpx.distributions import Distribution, Flow, Mixture, StandardNormal
from logpx.images import ImageModel
from logpx.tables import TableModel
from logpx.transforms import Affine, Transform


class Own(Distribution):
    """A distribution of one's own around another, which it holds as `hold` does."""

    def __init__(self, inside, hold):
        super().__init__(inside.event_shape, inside.context_features)
        self.holder, self.inside = hold(inside)
        self._context_shape = inside.context_shape

    @property
    def context_shape(self):
        return self._context_shape

    def log_prob(self, x, context=None):
        return self.inside(self.holder).log_prob(x, context)


class Plain(nn.Module):
    def __init__(self, inside):
        super().__init__()
        self.model = inside


NESTS = {
    "own": lambda inside: Own(inside, lambda model: (model, lambda holder: holder)),
    "attribute": lambda inside: Own(inside, lambda model: (Plain(model), lambda holder: holder.model)),
    "list": lambda inside: Own(
        inside, lambda model: (nn.ModuleList([nn.Identity(), model]), lambda holder: holder[1])
    ),
    "dictionary": lambda inside: Own(
        inside, lambda model: (nn.ModuleDict({"a": model}), lambda holder: holder["a"])
    ),
    "mixture": lambda inside: Mixture([StandardNormal(inside.event_shape), inside]),
    "base of a flow": lambda inside: Flow(inside, Affine(inside.event_shape)),
    "several": lambda inside: NESTS["own"](Mixture([NESTS["attribute"](inside)])),
}


def waiting(model):
    return [part for part in model.modules() if isinstance(part, Transform) and part.needs_data]


def rows_of(model):
    x = torch.rand(40, *model.event_shape, generator=torch.Generator().manual_seed(0))
    return x, torch.zeros(40, *model.context_shape) if model.context_features else None


def test_nothing_that_needs_data_is_skipped(make, monkeypatch):
    if not isinstance(make(), Distribution) or isinstance(make(), (ImageModel, TableModel)):
        return
    if not waiting(make()):
        return
    started = []
    for kind in {type(part) for part in waiting(make())}:
        plain = kind.initialise

        def counted(self, x, context=None, plain=plain):
            waited = self.needs_data
            plain(self, x, context)
            if waited and not self.needs_data:
                started.append(self)

        monkeypatch.setattr(kind, "initialise", counted)
    for name, nest in NESTS.items():
        started.clear()
        model = nest(make())
        x, context = rows_of(model)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            logpx.fit(model, x, context=context, max_steps=1, progress=False, seed=0)
        assert not waiting(model), name
        assert started, name
        assert len(started) == len(set(started)), name


@pytest.mark.parametrize("nest", ["own", "list", "mixture", "base of a flow"])
@pytest.mark.parametrize(
    "build", [lambda: flows.RealNVP(3, layers=2, hidden=(4,)), lambda: flows.MintNet(3, layers=2)]
)
def test_a_model_fitted_again_to_other_rows_says_so_wherever_its_scales_are(build, nest):
    model = NESTS[nest](build())
    x = torch.randn(100, 3, generator=torch.Generator().manual_seed(0))
    logpx.fit(model, x, max_steps=1, progress=False, seed=0)
    with pytest.warns(UserWarning, match="column 0 has mean"):
        logpx.fit(model, x + torch.tensor([100.0, 0.0, 0.0]), max_steps=1, progress=False, seed=0)
