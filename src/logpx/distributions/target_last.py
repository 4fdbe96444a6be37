"""Rows of which one column is modelled last, by networks and a forest of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from logpx.arguments import check_count, check_instance, check_places
from logpx.distributions.base import Distribution
from logpx.distributions.column_marginal import ColumnMarginal
from logpx.distributions.columns import ColumnDistribution
from logpx.distributions.conditional import Marginals, mixed
from logpx.distributions.order_agnostic import OrderAgnostic
from logpx.distributions.seeding import checked_count, derived_seed, draw_rows, part_seed
from logpx.errors import UsageError
from logpx.nets.forest import Forest
from logpx.nets.visible import Uniforms, VisibleColumns

__all__ = ["TargetLast"]

# Of the spread of all values, below which no prediction is trusted to be exact.
_LEAST_SPREAD = 1e-3
# What the second output of a forest, the square, is multiplied by, so that trees split by the first.
SQUARES = 1e-3
_ROWS_AT_ONCE = 1024


class TargetLast(Distribution):
    r""":math:`p(x) = p(x_{-t}) \, \frac1K \sum_k p_k(x_t \mid x_{-t})` of a target t among the columns.

    The target given all other columns has K networks of its own, which see the others and what a forest
    predicts from them. The other columns are those of an `OrderAgnostic` model, which also gives them from
    any columns, the target included. Log p is exact.

    Parameters
    ----------
    joint
        The model of all columns.
    target
        The place of the target, a column of numbers.
    forest
        Predicts the target's standardised value, and its square times 1e-3, from the other columns.
    own
        What the target can be, given a network's numbers.
    networks
        K.
    width, blocks, dropout
        The size of the networks, `logpx.nets.VisibleColumns`.

    Examples
    --------
    >>> from logpx.distributions.columns import CentredColumn, NumberColumn
    >>> joint = OrderAgnostic([NumberColumn(), NumberColumn()], width=8, blocks=1)
    >>> model = TargetLast(joint, 1, Forest(1, 1, 1, 2), CentredColumn(), width=8, blocks=1).eval()
    >>> x = torch.tensor([[0.5, 1.0], [0.0, torch.nan]], dtype=torch.float64)
    >>> model.log_prob(x).shape, model.kind
    (torch.Size([2]), 'exact')
    """

    allows_constants = True
    allows_missing = True
    gains_from_noise = False
    standard: Tensor
    holed: Tensor

    def __init__(
        self,
        joint: OrderAgnostic,
        target: int,
        forest: Forest,
        own: ColumnDistribution,
        *,
        networks: int = 1,
        width: int = 128,
        blocks: int = 2,
        dropout: float = 0.0,
    ) -> None:
        check_instance("joint", joint, OrderAgnostic, "OrderAgnostic(columns)")
        count = len(joint.columns)
        check_places("target", [target], count)
        check_count("networks", networks)
        super().__init__(count)
        self.joint, self.target, self.forest, self.own = joint, target, forest, own
        self.others = [place for place in range(count) if place != target]
        if forest.features != len(self.others) or forest.outputs != 2:
            raise UsageError(
                f"a forest of {forest.features} features and {forest.outputs} outputs",
                fix=f"give one of {len(self.others)} features, for value and square of the target",
            )
        inputs = [*(joint.columns[place].inputs for place in self.others), own.inputs, 2]
        # The column that each feature belongs to, and behind them one that says whether it is visible.
        owners = [place for place, size in enumerate(inputs) for _ in range(size)]
        self.owners = [*owners, *range(len(inputs))]
        self.nets = cast(
            Sequence[VisibleColumns],
            nn.ModuleList(
                VisibleColumns(inputs, [own.outputs], width=width, blocks=blocks, dropout=dropout)
                for _ in range(networks)
            ),
        )
        self.register_buffer("standard", torch.tensor([0.0, 1.0], dtype=torch.float64))
        # Of which columns training rows lacked cells.
        self.register_buffer("holed", torch.zeros(count, dtype=torch.bool))

    def _like(self) -> Tensor:
        return self.joint._like()

    @property
    def wanted(self) -> Tensor:
        """The target among the columns, a boolean of shape ``(d,)``."""
        return torch.arange(len(self.joint.columns), device=self.holed.device) == self.target

    def predicted(self, x: Tensor) -> Tensor:
        """Return what the forest predicts of the target, shape ``(*rows, 2)``; see `in_units`.

        Nothing, NaN, where a cell is missing of a column that had none missing in training.
        """
        rows = x.reshape(-1, x.shape[-1])
        unusual = (rows.isnan() & ~self.holed & ~self.wanted).any(1)
        found = self.in_units(self.forest(rows[:, self.others])).masked_fill(unusual[:, None], math.nan)
        return found.reshape(*x.shape[:-1], 2)

    def in_units(self, outputs: Tensor) -> Tensor:
        """Return the predicted value and the logarithm of its spread, shape ``(n, 2)``, float64.

        Parameters
        ----------
        outputs
            Those of the forest.
        """
        mean, square = outputs[:, 0], outputs[:, 1] / SQUARES
        variance = (square - mean.square()).clamp_min(0.0) + _LEAST_SPREAD**2
        centre, deviation = self.standard
        return torch.stack([centre + deviation * mean, 0.5 * variance.log() + deviation.log()], 1)

    def features(self, x: Tensor, predictions: Tensor) -> Tensor:
        """Return what the networks see of the other columns and of predictions, shape ``(n, features)``.

        Parameters
        ----------
        x
            Shape ``(n, d)``; NaN is not visible.
        predictions
            What `predicted` returns, or of training rows what was predicted without them.
        """
        there, rows = ~x.isnan(), x.double().nan_to_num(nan=0.0)
        known = ~predictions.isnan()
        value, log_spread = self._or_usual(predictions).unbind(1)
        relative = (log_spread - self.standard[1].log()).to(self.nets[0].bias.dtype)
        seen = [
            _features(self.joint.columns[place], rows[:, place], relative.dtype) * there[:, place, None]
            for place in self.others
        ]
        dtype = relative.dtype
        values = cast(Any, self.own).units.inverse(value)
        seen.append(_features(self.own, values, dtype) * known[:, :1])
        seen.append(torch.stack([relative / 3.0, relative.exp()], 1) * known[:, :1])
        return torch.cat([*seen, torch.cat([there[:, self.others], known], 1).to(dtype)], 1)

    def _or_usual(self, predictions: Tensor) -> Tensor:
        """Return predictions, or centre and spread of all values where there are none."""
        usual = torch.stack([self.standard[0], self.standard[1].log()])
        return torch.where(predictions.isnan(), usual, predictions)

    def hide(self, features: Tensor, hidden: Tensor) -> Tensor:
        """Return features in which some columns, a boolean of shape ``(n, d)``, are not visible.

        In such rows neither are the predictions, which are made of all columns.
        """
        gone = torch.cat([hidden[:, self.others], hidden.any(1, keepdim=True).expand(-1, 2)], 1)
        return features.masked_fill(gone[:, self.owners], 0.0)

    def numbers(
        self, number: int, features: Tensor, predictions: Tensor, uniform: Uniforms | None = None
    ) -> Tensor:
        """Return the numbers of one network for the distribution of the target of every row.

        Parameters
        ----------
        number
            Which network.
        features, predictions
            As returned by `features`, and given to it.
        uniform
            As of `logpx.nets.VisibleColumns.hidden`.
        """
        net = self.nets[number]
        total = features @ torch.cat([net.entry, net.bias])
        raw = net.numbers(net.hidden(total, net.asked[-1], uniform), 0)
        return torch.cat([raw, self._or_usual(predictions)[:, : self.own.predictions].to(raw.dtype)], 1)

    def _marginals(self, x: Tensor) -> list[ColumnMarginal]:
        """Return the distributions of the target of every row, one of each network."""
        parts: list[list[Tensor]] = [[] for _ in self.nets]
        for rows in torch.split(x, _ROWS_AT_ONCE):
            predictions = self.predicted(rows)
            features = self.features(rows, predictions)
            for number, found in enumerate(parts):
                found.append(self.numbers(number, features, predictions).double())
        return [ColumnMarginal(self.own, torch.cat(found)) for found in parts]

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return log p of the cells that are there, shape ``(*rows,)``: exact."""
        others = self.joint.log_prob(x.masked_fill(self.wanted, math.nan))
        return others + self._target_log_prob(x).to(others.dtype)

    @torch.no_grad()
    def conditional_log_prob(self, x: Tensor, target: Tensor) -> Tensor:
        """Return log p of some columns given all others that are there; see `OrderAgnostic`."""
        wanted = torch.as_tensor(target, device=x.device)
        if wanted.shape != self.wanted.shape or not bool(wanted[self.target]):
            return self.joint.conditional_log_prob(x, wanted)
        own = self._target_log_prob(x).to(x.dtype)
        others = wanted & ~self.wanted
        if not bool(others.any()):
            return own
        return own + self.joint.conditional_log_prob(x.masked_fill(self.wanted, math.nan), others)

    def _target_log_prob(self, x: Tensor) -> Tensor:
        """Return log p of the target given all other cells, float64; 0 where it is missing."""
        found = x.new_zeros(len(x), dtype=torch.float64)
        there = (~x[:, self.target].isnan()).nonzero()[:, 0]
        if len(there):
            values = x[there, self.target].double()
            each = [own.log_prob(values) for own in self._marginals(x[there])]
            found[there] = torch.logsumexp(torch.stack(each), 0) - math.log(len(each))
        return found

    @torch.no_grad()
    def conditional_marginals(self, x: Tensor, column: int) -> Marginals:
        """Return the distribution of one column of each row, given the cells of all others that are there."""
        if column != self.target:
            return cast(Marginals, self.joint.conditional_marginals(x, column))
        each = cast(Sequence[Marginals], self._marginals(x))
        return mixed(each, x.new_full((len(x), len(each)), 1.0 / len(each), dtype=torch.float64))

    @torch.no_grad()
    def impute(self, x: Tensor, draws: int | None = None, seed: int | None = None) -> Tensor:
        """Fill in missing cells: with the best guess of each, or with draws; see `OrderAgnostic.impute`."""
        if draws is None:
            found = self.joint.impute(x)
            gone = x[:, self.target].isnan()
            if bool(gone.any()):
                guess = self.conditional_marginals(x[gone], self.target).expectation(lambda values: values)
                found[gone, self.target] = guess.to(x.dtype)
            return found
        if checked_count(draws) < 1:
            raise UsageError(f"{draws} draws", fix="draw once or more, or leave draws out")
        seeds = [None if seed is None else derived_seed(seed, number) for number in range(draws)]
        return torch.stack([self._completed(x, own) for own in seeds])

    @torch.no_grad()
    def sample(self, n: int, context: Tensor | None = None, seed: int | None = None) -> Tensor:
        """Draw rows, shape ``(n, d)``, float64: the target last."""
        empty = torch.full((checked_count(n), len(self.joint.columns)), torch.nan, dtype=torch.float64)
        return self._completed(empty.to(self.holed.device), seed)

    def _completed(self, x: Tensor, seed: int | None) -> Tensor:
        """Return rows with missing cells drawn: of the other columns first, and then of the target."""
        found = self.joint.completed(x, seed, left_out=self.target)

        def uniforms(rows: int, generator: torch.Generator | None, device: torch.device) -> Tensor:
            return torch.rand(rows, 3, generator=generator, device=device, dtype=torch.float64)

        uniform = draw_rows(len(x), None if seed is None else part_seed(seed, 1), self._like(), uniforms)
        gone = x[:, self.target].isnan()
        if not bool(gone.any()):
            return found
        own = uniform[gone]
        choice = (own[:, 2] * len(self.nets)).long().clamp(max=len(self.nets) - 1)
        drawn = torch.stack([one.sample(own[:, :2]) for one in self._marginals(found[gone])], 1)
        found[gone, self.target] = drawn.gather(1, choice[:, None])[:, 0].to(found.dtype)
        return found


def _features(column: ColumnDistribution, x: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the features of a column's cells, shape ``(n, inputs)``."""
    return column.embed(x, torch.eye(column.inputs, dtype=dtype, device=x.device))
