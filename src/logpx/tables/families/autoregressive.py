"""Order-agnostic autoregressive models of tables, with cells of every kind as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from logpx.distributions import Distribution, OrderAgnostic
from logpx.distributions.columns import (
    CentredColumn,
    ColumnDistribution,
    LabelColumn,
    NumberColumn,
    ValueColumn,
)
from logpx.distributions.seeding import seeded
from logpx.tables.columns.labels import Labels
from logpx.tables.columns.support import Support
from logpx.tables.columns.supports import Supports
from logpx.tables.families.conditional_training import ConditionalTraining
from logpx.tables.families.family import BATCH_ROWS, Budget, TableFamily, descend
from logpx.tables.families.settings import LEARNING_RATE, Setting, Value
from logpx.tables.families.target_fitting import target_last
from logpx.training.plan import USUAL_LEARNING_RATE

__all__ = ["AutoregressiveFamily", "column_distribution"]

# Up to so many values of a grid are told apart by a softmax, if each is seen this often on average.
_MOST_VALUES = 400
_FEW_VALUES = 20
_ROWS_PER_VALUE = 5
_ROWS_PER_KNOT = 25
_LEAST_KNOTS = 6
# A spike on a grid of many values: this share of the rows, and so many times its neighbours.
_SPIKE_ROWS = 10
_SPIKE_SHARE = 0.002
_SPIKE_HEIGHT = 4.0
_MOST_SPIKES = 60
_NEIGHBOURS = 5
# More orders gain hundredths of a nat, and each costs a pass for every column.
_ORDERS, _ORDERS_SEED = 2, 20
_MANY_COLUMNS = 60


def column_distribution(
    support: Support, values: Tensor, rows: int, periods: Sequence[float] = ()
) -> ColumnDistribution:
    """Return the distribution that suits a column: its support, its values and how many there are.

    Parameters
    ----------
    support
        Bounds, grid, atoms or labels.
    values
        The values that are there, shape ``(n,)``, float64.
    rows
        The number of training rows, by which smoothing is chosen.
    periods
        Periods that the column's values may follow, in its units.

    Examples
    --------
    >>> ages = torch.arange(18.0, 80.0, dtype=torch.float64).repeat(20)
    >>> column = column_distribution(Support(lower=0.0, step=1.0), ages, rows=1240)
    >>> type(column).__name__, column.outputs
    ('ValueColumn', 49)
    """
    if isinstance(support, Labels):
        return LabelColumn(support.levels, new=True)
    if support.step is not None and support.uniform and not support.atoms:
        values = support.snap(values)
        distinct = torch.unique(values)
        few = len(distinct) <= min(_MOST_VALUES, len(values) / _ROWS_PER_VALUE)
        if few or len(distinct) <= _FEW_VALUES:
            return _value_column(support, distinct, rows, periods)
    return NumberColumn(support.step, *support.extent, **_of_numbers(support, values, rows), periods=periods)


def target_distribution(
    support: Support, values: Tensor, rows: int, periods: Sequence[float] = ()
) -> ColumnDistribution:
    """Return the distribution that suits a column of numbers which is predicted beforehand.

    The parameters are those of `column_distribution`.
    """
    if support.step is not None and support.uniform and not support.atoms:
        distinct = torch.unique(support.snap(values))
        if len(distinct) <= _FEW_VALUES:
            return _value_column(support, distinct, rows, periods)
    return CentredColumn(support.step, *support.extent, **_of_numbers(support, values, rows), periods=periods)


def _value_column(
    support: Support, distinct: Tensor, rows: int, periods: Sequence[float]
) -> ColumnDistribution:
    lower, upper = support.extent
    knots = max(_LEAST_KNOTS, rows // _ROWS_PER_KNOT)
    return ValueColumn(distinct.tolist(), support.step or 1.0, lower, upper, knots=knots, periods=periods)


def _of_numbers(support: Support, values: Tensor, rows: int) -> dict[str, Any]:
    """Return the arguments of a `NumberColumn` that suit a column."""
    found: dict[str, Any] = {"components": 6 if rows < 1000 else 10 if rows < 10_000 else 16}
    found |= {"atoms": support.atoms, "counted": support.atoms, "uniform": support.uniform}
    if support.step is None or not support.uniform:
        return found
    distinct, counts = torch.unique(support.snap(values), return_counts=True)
    return found | {"atoms": sorted({*support.atoms, *_spikes(distinct, counts)}), "offset": support.offset}


def _spikes(distinct: Tensor, counts: Tensor) -> list[float]:
    """Return values that repeat far more often than their neighbours."""
    share = counts.double()
    padded = torch.nn.functional.pad(share, (_NEIGHBOURS, _NEIGHBOURS))
    near = (padded.unfold(0, 2 * _NEIGHBOURS + 1, 1).sum(1) - share) / (2 * _NEIGHBOURS)
    least = max(_SPIKE_ROWS, _SPIKE_SHARE * float(share.sum()))
    found = ((share >= least) & (share > _SPIKE_HEIGHT * near)).nonzero()[:, 0]
    order = share[found].argsort(descending=True)[:_MOST_SPIKES]
    values: list[float] = distinct[found[order]].tolist()
    return values


class AutoregressiveFamily(TableFamily):
    """An order-agnostic autoregressive network of a size that suits the table, trained by gradient descent.

    Its log p is exact, also on grids, at atoms and for labels: it takes cells as they are.
    """

    name = "autoregressive"
    summary = "order-agnostic autoregressive network for columns of every kind, with an exact log p"
    allows_missing = True
    allows_labels = True
    needs_many_rows = False
    takes_cells = True
    settings: Mapping[str, Setting] = {
        "width": Setting(32, 256, logarithmic=True),
        "blocks": Setting(1, 4),
        "dropout": Setting(0.0, 0.4),
        "learning_rate": LEARNING_RATE,
    }

    def usual(self, rows: int, features: int) -> dict[str, Value]:
        """Return wider nets for more rows, and less dropout."""
        return {
            "width": 48 if rows < 1000 else 64 if rows < 5000 else 128,
            "blocks": 2,
            "dropout": 0.2 if rows < 2000 else 0.1 if rows < 10_000 else 0.0,
            "learning_rate": USUAL_LEARNING_RATE,
        }

    def fit(self, training: Tensor, validation: Tensor, budget: Budget) -> Distribution:
        """Train until the validation likelihood stops rising or time is up."""
        rows, features = budget.effective_rows, training.shape[1]
        # What the model will be given, to the last bit: features jump at values that repeat.
        training, validation = (Supports(budget.supports).cells(part) for part in (training, validation))
        columns = []
        for index, support in enumerate(budget.supports):
            there = training[:, index][~training[:, index].isnan()]
            columns.append(column_distribution(support, there, rows, budget.periods[index]))
        usual = self.usual(rows, features)
        if budget.target:
            # One distribution in place of those of all orders leaves room to fit it well.
            usual |= {"width": max(usual["width"], 128), "dropout": min(usual["dropout"], 0.1)}
        settings = usual | dict(budget.settings)
        with seeded(budget.seed):
            model = OrderAgnostic(
                columns,
                int(settings["width"]),
                int(settings["blocks"]),
                orders=_ORDERS if 1 < features <= _MANY_COLUMNS else 1,
                dropout=float(settings["dropout"]),
                order_seed=_ORDERS_SEED + budget.start,
            )

        def train(trained: Distribution, training: Tensor, validation: Tensor, budget: Budget) -> None:
            descend(
                trained,
                training,
                validation,
                budget,
                long=len(training) > 40 * BATCH_ROWS,
                weight_decay=1e-2,
                learning_rate=settings["learning_rate"],
            )

        if len(budget.target) == 1 and not isinstance(budget.supports[budget.target[0]], Labels):
            (place,) = budget.target
            values = training[:, place][~training[:, place].isnan()]
            own = target_distribution(budget.supports[place], values, rows, budget.periods[place])
            return target_last(model, own, (training, validation), budget, settings, train).eval()
        trained = ConditionalTraining(model, budget.target) if budget.target else model
        train(trained, training, validation, budget)
        return model.eval()
