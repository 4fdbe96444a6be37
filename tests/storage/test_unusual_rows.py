"""Every call of every class that can be saved, given unusual rows: right answers, or errors that say why."""

import inspect
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from logpx.distributions import Distribution
from logpx.errors import LogpxError, UsageError
from logpx.images import ImageModel, PixelHistogram, UniformLevels
from logpx.transforms import Transform

# What these set in the object is looked at elsewhere.
SETTERS = {"initialise", "initialise_and_map", "initialise_components", "match_moments", "update_from_rows"}
# They answer one row with that row's numbers; the others take rows only, or sum over them.
BY_ROW = {"log_prob", "forward", "inverse", "posterior"}


@dataclass(frozen=True)
class Call:
    """A method that takes rows, and maybe a context, of a distribution or transform."""

    part: Any
    name: str

    @property
    def dtype(self) -> torch.dtype:
        numbers = (*self.part.parameters(), *self.part.buffers())
        return next((tensor.dtype for tensor in numbers if tensor.is_floating_point()), torch.float32)

    def rows(self) -> Tensor:
        """Return three rows of zeros and ones, which every model knows."""
        generator = torch.Generator().manual_seed(0)
        return torch.rand(3, *self.part.event_shape, generator=generator).round().to(self.dtype)

    def __call__(self, x: Any) -> list[Tensor] | None:
        """Return the tensors that the method gives, or None if it refuses the rows and says why."""
        method, context = getattr(self.part, self.name), {}
        if self.part.context_features and "context" in inspect.signature(method).parameters:
            context = {"context": torch.full(self.part.context_shape, 0.3, dtype=self.dtype)}
        try:
            return tensors(method(x, **context))
        except LogpxError as error:
            # Without a way out it would be a fault itself.
            if not error.fix:
                raise
            return None


def tensors(value: Any) -> list[Tensor]:
    """Return the tensors in whatever a method returns."""
    if isinstance(value, Tensor):
        return [value.detach()]
    if value is None or isinstance(value, float):
        return []
    if isinstance(value, torch.distributions.Distribution):
        return tensors([vars(value)[name] for name in ("logits", "loc") if name in vars(value)])
    parts = value if isinstance(value, (tuple, list)) else vars(value).values()
    return [tensor for part in parts if isinstance(part, (Tensor, tuple, list)) for tensor in tensors(part)]


@pytest.fixture(scope="module")
def calls(every_model) -> list[Call]:
    """Return one call of every method of every kind of distribution and transform."""
    return list(_calls(every_model.values()))


def _calls(builders) -> Iterator[Call]:
    seen = set()
    for part in (part for make in builders for part in make().eval().modules()):
        if not isinstance(part, (Distribution, Transform)) or not part.event_shape:
            continue
        kind = type(part), len(part.event_shape), bool(part.context_features)
        if kind in seen:
            continue
        seen.add(kind)
        for name, method in inspect.getmembers(part, inspect.ismethod):
            parameters = list(inspect.signature(method).parameters.values())
            rows = (
                not name.startswith("_") and parameters and (parameters[0].name == "x" or name == "inverse")
            )
            # Calling a distribution is its log_prob, and what it is trained by may draw numbers anew.
            same = name in {"forward", "training_objective"} and isinstance(part, Distribution)
            if rows and not same and not any(each.default is each.empty for each in parameters[1:]):
                yield Call(part, name)


def check_same(found, expected, call):
    assert (found is None) == (expected is None), call
    for one, other in zip(found or [], expected or [], strict=True):
        torch.testing.assert_close(one, other.to(one.dtype), equal_nan=True, msg=str(call))


def test_whole_numbers_single_rows_no_row_and_another_precision(calls):
    for call in calls:
        x = call.rows()
        expected = call(x)
        for dtype in (torch.bfloat16, torch.float64):
            call(x.to(dtype))
        assert not any(nothing.isnan().any() for nothing in call(x[:0]) or []), call
        if call.name not in SETTERS:
            check_same(call(x.long()), expected, call)
            check_same(call(x.bool()), expected, call)
            one = call(x[0])
            if call.name in BY_ROW and expected is not None:
                check_same(one, [each[0] for each in expected], call)


def test_what_is_no_row_is_named(calls):
    for call in calls:
        *rest, last = call.part.event_shape
        for wrong in ((2, *rest, last + 1), (last + 1,)):
            both = f"{re.escape(str(wrong))}.* {re.escape(str(call.part.event_shape))}"
            with pytest.raises(UsageError, match=both):
                getattr(call.part, call.name)(torch.zeros(wrong))
        for kind, wrong in (("a list given", [0.0]), ("complex", call.rows().to(torch.complex64))):
            with pytest.raises(UsageError, match=kind):
                getattr(call.part, call.name)(wrong)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_bad_cell_concerns_its_own_row_and_makes_no_density(calls, value):
    for call in calls:
        x = call.rows()
        expected = call(x)
        x.view(3, -1)[1, -1] = value
        found = call(x)
        if found is None or expected is None or call.name in SETTERS:
            continue
        for bad, good in zip(found, expected, strict=True):
            if bad.shape == good.shape and bad.shape[:1] == (3,):
                torch.testing.assert_close(bad[[0, 2]], good[[0, 2]], equal_nan=True, msg=str(call))
            else:
                # A sum over rows.
                assert not bad.isnan().any(), call
        if call.name in {"log_prob", "log_prob_lower"}:
            log_prob = found[0][1].item()
            if math.isinf(value):
                assert log_prob == -math.inf, call
            else:
                assert math.isfinite(log_prob) == call.part.allows_missing, call


@pytest.mark.parametrize("kind", [ImageModel, PixelHistogram, UniformLevels])
def test_pixels_between_levels_are_impossible_or_named(calls, kind):
    for call in calls:
        if isinstance(call.part, kind) and call.name in {"log_prob", "log_prob_lower", "counts"}:
            for value in (0.5, -1.0, 1e9):
                x = call.rows()
                x.view(3, -1)[1, -1] = value
                found = call(x)
                assert found is None or found[0][1] == -math.inf, call
