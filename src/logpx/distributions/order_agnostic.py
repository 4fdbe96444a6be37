"""Autoregression over columns of every kind, in any order, and so given any other columns."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from logpx.arguments import check_count, check_instance
from logpx.distributions.base import Distribution
from logpx.distributions.column_marginal import ColumnMarginal
from logpx.distributions.columns import ColumnDistribution
from logpx.distributions.in_double import in_double
from logpx.distributions.missing import check_finite_or_missing
from logpx.distributions.private_randomness import current_generator
from logpx.distributions.seeding import BLOCK_ROWS, checked_count, checked_seed, derived_seed, draw_rows
from logpx.errors import DataError, UsageError
from logpx.nets.visible import Uniforms, VisibleColumns, uniforms

__all__ = ["OrderAgnostic"]

# How many columns of a row a training step asks for at most.
_MOST_ASKED = 24
# Columns whose hidden units are computed at once, and numbers of these; and numbers that are kept of what
# cells add to the sum, where several orders need it.
_COLUMNS_AT_ONCE = 16
_NUMBERS_AT_ONCE = 2_000_000
_NUMBERS_KEPT = 8_000_000
# Rows and columns that are scored in double precision, at no cost: probabilities then add up to 1 to the
# last digits.
_FEW_ROWS, _FEW_COLUMNS = 1024, 100


class OrderAgnostic(Distribution):
    r""":math:`p(x) = \frac1M \sum_m \prod_j p(x_{\sigma_m(j)} \mid x_{\sigma_m(<j)})`, in M orders.

    One network gives a distribution of any column given any others. Log p is exact: the chain rule in M
    fixed orders, whose densities are averaged. A missing cell (NaN) is neither asked for nor visible, so
    that what is reported is a normalised density of the cells that are there. On a grid a cell's mass
    counts, divided by the step; no noise is added.

    Conditional distributions come from the same network with the given columns first. As in every model of
    this sort they agree with log p only as far as the orders do: `conditional_log_prob` is a normalised
    density of the target, but no quotient of two values of `log_prob`.

    Parameters
    ----------
    columns
        What each column can be, from `logpx.distributions.columns`.
    width, blocks
        The size of the network, `logpx.nets.VisibleColumns`.
    orders
        M, the number of orders.
    share
        The share of training rows that are taken in one of these orders; all others get random ones.
    dropout
        The share of hidden units that a training step leaves out.
    order_seed
        Draws the orders.

    References
    ----------
    Uria, Murray and Larochelle 2014, A deep and tractable density estimator; Hoogeboom et al. 2022,
    Autoregressive diffusion models.
    https://arxiv.org/abs/1310.1757
    https://arxiv.org/abs/2110.02037

    Examples
    --------
    >>> from logpx.distributions.columns import LabelColumn, NumberColumn
    >>> model = OrderAgnostic([LabelColumn(3), NumberColumn()], width=8, blocks=1).eval()
    >>> x = torch.tensor([[2.0, 0.5], [0.0, torch.nan]], dtype=torch.float64)
    >>> model.log_prob(x).shape, model.kind
    (torch.Size([2]), 'exact')
    >>> model.conditional_marginals(x, column=0).probabilities.shape
    torch.Size([2, 3])
    """

    allows_constants = True
    allows_missing = True
    gains_from_noise = False
    chains: Tensor

    def __init__(
        self,
        columns: Sequence[ColumnDistribution],
        width: int = 128,
        blocks: int = 2,
        *,
        orders: int = 4,
        share: float = 0.5,
        dropout: float = 0.0,
        order_seed: int = 20,
    ) -> None:
        for column in columns:
            check_instance("a column", column, ColumnDistribution, "LabelColumn(3)")
        check_count("columns", len(columns))
        check_count("orders", orders)
        super().__init__(len(columns))
        self.columns = cast(Sequence[ColumnDistribution], nn.ModuleList(columns))
        self.share = share
        self.net = VisibleColumns(
            [column.inputs for column in columns],
            [column.outputs for column in columns],
            width=width,
            blocks=blocks,
            dropout=dropout,
        )
        generator = torch.Generator().manual_seed(checked_seed(order_seed, least=0))
        chains = [torch.randperm(len(columns), generator=generator, device="cpu") for _ in range(orders)]
        self.register_buffer("chains", torch.tensor([chain.tolist() for chain in chains]))

    def _like(self) -> Tensor:
        # Numbers of nine digits need rows in float64, whatever the network's precision.
        return torch.empty(0, dtype=torch.float64, device=self.net.bias.device)

    @torch.no_grad()
    def initialise(self, x: Tensor, context: Tensor | None = None) -> None:
        """Set units and marginal distributions of the columns from training rows.

        Raises
        ------
        DataError
            If a column has no value, or an impossible one.
        """
        for index, column in enumerate(self.columns):
            there = x[:, index][~x[:, index].isnan()].double()
            if not len(there):
                raise DataError("every cell is missing", column=index, fix="leave the column out")
            try:
                column.initialise(there)
            except DataError as error:
                raise DataError(error.message, column=index, fix=error.fix) from error

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return log p of the cells that are there, shape ``(*rows,)``: exact.

        In training mode, an unbiased estimate of its average over orders, some fixed and some random.
        """
        there = ~x.isnan()
        rows = x.double().nan_to_num(nan=0.0)
        if self.training:
            return self._estimate(rows, there).to(x.dtype)
        precise = self._precise(len(rows))
        parts = [
            precise._mixed(own, mask)
            for own, mask in zip(
                torch.split(rows, self._at_once), torch.split(there, self._at_once), strict=True
            )
        ]
        return torch.cat([x.new_zeros(0, dtype=torch.float64), *parts]).to(x.dtype)

    def log_prob_in_order(self, x: Tensor, order: Tensor) -> Tensor:
        """Return log p by the chain rule in one order, a permutation of the columns: shape ``(n,)``."""
        there = ~x.isnan()
        rows = x.double().nan_to_num(nan=0.0)
        precise = self._precise(len(rows))
        return precise._chain(precise._seen(rows, there), rows, there, order).to(x.dtype)

    def _precise(self, rows: int) -> OrderAgnostic:
        """Return the model, in double precision if rows and columns are few and nothing is being trained."""
        few = rows <= _FEW_ROWS and len(self.columns) <= _FEW_COLUMNS
        if self.training or not few or self.net.bias.dtype == torch.float64:
            return self
        return in_double(self)

    @property
    def _at_once(self) -> int:
        at_once = min(len(self.columns), _COLUMNS_AT_ONCE) * self.net.width
        return max(1, min(BLOCK_ROWS, _NUMBERS_AT_ONCE // at_once))

    def _embedded(self, x: Tensor, column: int) -> Tensor:
        return self.columns[column].embed(x, self.net.weights()[column]) + self.net.bias[column]

    def _visible(self, rows: Tensor, there: Tensor, some: Tensor | None = None) -> Tensor:
        """Return what cells of some columns add to the sum when visible, shape ``(n, columns, width)``."""
        some = torch.arange(len(self.columns), device=rows.device) if some is None else some
        weights = self.net.weights()
        each = [self.columns[place].embed(rows[:, place], weights[place]) for place in some.tolist()]
        return (torch.stack(each, 1) + self.net.bias[some]) * there[:, some, None]

    def _seen(self, rows: Tensor, there: Tensor) -> Callable[[Tensor], Tensor]:
        """Return what gives `_visible` of some columns: found once, unless there are too many."""
        if rows.numel() * self.net.width > _NUMBERS_KEPT:
            return lambda some: self._visible(rows, there, some)
        visible = self._visible(rows, there)
        return lambda some: visible[:, some]

    def _mixed(self, rows: Tensor, there: Tensor) -> Tensor:
        seen = self._seen(rows, there)
        each = [self._chain(seen, rows, there, order) for order in self.chains]
        return torch.logsumexp(torch.stack(each), 0) - math.log(len(each))

    def _chain(
        self,
        seen: Callable[[Tensor], Tensor],
        rows: Tensor,
        there: Tensor,
        order: Tensor,
        *,
        given: Tensor | None = None,
        uniform: Uniforms | None = None,
    ) -> Tensor:
        """Return log p of columns in an order, after what the given ones add to the sum.

        A few columns at once, each of which sees the sum over all before it: one pass over the columns of a
        row, in memory that does not grow with their number. In float64, or when trained in the dtype of the
        network.
        """
        total = self.net.bias.new_zeros(len(rows), self.net.width) if given is None else given
        found = []
        for some in torch.split(order, _COLUMNS_AT_ONCE):
            visible = seen(some)
            before = total[:, None] + visible.cumsum(1) - visible
            hidden = self.net.hidden(before, self.net.asked[some], uniform)
            dtype = torch.float64 if uniform is None else hidden.dtype
            found.append(self._sum_of_cells(hidden, some, rows, there, dtype))
            total = total + visible.sum(1)
        return torch.stack(found).sum(0)

    def _sum_of_cells(
        self, hidden: Tensor, asked: Tensor, rows: Tensor, there: Tensor, dtype: torch.dtype
    ) -> Tensor:
        """Return the sum of log p of the cells that are there in the columns asked for, shape ``(n,)``.

        Parameters
        ----------
        hidden
            Hidden units for each of them, shape ``(n, columns, width)``.
        """
        cells, exits = [], self.net.exits()
        for units, column in zip(hidden.unbind(1), asked.tolist(), strict=True):
            raw = functional.linear(units, *exits[column]).to(dtype)
            own = self.columns[column].log_prob(raw, rows[:, column])
            cells.append(torch.where(there[:, column], own, 0.0))
        return torch.stack(cells).sum(0)

    def _estimate(self, rows: Tensor, there: Tensor) -> Tensor:
        """Return an estimate of the log p that training maximises, from some of the columns."""
        n, d = rows.shape
        generator = current_generator(rows.device)
        rank = torch.rand(n, d, generator=generator, device=rows.device).argsort(1)
        fixed = torch.rand(n, generator=generator, device=rows.device) < self.share
        chosen = torch.randint(len(self.chains), (n,), generator=generator, device=rows.device)
        rank = torch.where(fixed[:, None], self.chains.argsort(1)[chosen], rank)
        asked = torch.arange(d, device=rows.device)
        if d > _MOST_ASKED:
            asked = torch.randperm(d, generator=generator, device=rows.device)[:_MOST_ASKED]
        earlier = rank[:, asked, None] > rank[:, None, :]
        before = torch.bmm(earlier.to(self.net.bias.dtype), self._visible(rows, there))
        hidden = self.net.hidden(before, self.net.asked[asked], uniforms(generator))
        return self._sum_of_cells(hidden, asked, rows, there, hidden.dtype) * (d / len(asked))

    def conditional_estimate(self, x: Tensor, target: Tensor) -> Tensor:
        """Return what training for some columns given all others raises: log p in one order, with a gradient.

        Parameters
        ----------
        x
            Shape ``(n, d)``; NaN is neither asked for nor visible.
        target
            Which columns are asked for, a boolean of shape ``(d,)``.

        Returns
        -------
        Tensor
            Shape ``(n,)``: an unbiased estimate of the mean over orders, with hidden units left out.
        """
        generator = current_generator(x.device)
        chosen = int(torch.randint(len(self.chains), (), generator=generator, device=x.device))
        there, rows = ~x.isnan(), x.double().nan_to_num(nan=0.0)
        return self._given_others(rows, there, target, self.chains[chosen], uniforms(generator))

    def _given_others(
        self, rows: Tensor, there: Tensor, wanted: Tensor, order: Tensor, uniform: Uniforms | None = None
    ) -> Tensor:
        """Return log p of the wanted columns given all others, in the dtype of the network when trained."""
        given = self._sum(rows, there & ~wanted, (~wanted).nonzero()[:, 0].tolist())
        own = order[wanted[order]]
        return self._chain(
            lambda some: self._visible(rows, there, some), rows, there, own, given=given, uniform=uniform
        )

    @torch.no_grad()
    def conditional_log_prob(self, x: Tensor, target: Tensor) -> Tensor:
        """Return log p of some columns given the cells of all others that are there.

        The given cells come first in every order, so that this is a normalised density of the target cells.

        Parameters
        ----------
        x
            Shape ``(n, d)``. Cells that are NaN are integrated out.
        target
            Which columns are asked for, a boolean of shape ``(d,)``.

        Returns
        -------
        Tensor
            Shape ``(n,)``, in nats.

        Raises
        ------
        UsageError
            If the target is no boolean for each column, or names none.
        """
        check_finite_or_missing(x)
        wanted = torch.as_tensor(target, device=x.device)
        if wanted.dtype != torch.bool or wanted.shape != (len(self.columns),) or not bool(wanted.any()):
            raise UsageError(
                f"a target {target!r} of {len(self.columns)} columns",
                fix="give a boolean for each column, at least one of them True",
            )
        precise = self._precise(len(x))
        parts = [precise._conditional(part, wanted) for part in torch.split(x, self._at_once)]
        return torch.cat([x.new_zeros(0, dtype=torch.float64), *parts]).to(x.dtype)

    def _conditional(self, x: Tensor, wanted: Tensor) -> Tensor:
        there, rows = ~x.isnan(), x.double().nan_to_num(nan=0.0)
        # All orders of one column are alike.
        orders = self.chains if int(wanted.sum()) > 1 else self.chains[:1]
        each = [self._given_others(rows, there, wanted, order) for order in orders]
        return torch.logsumexp(torch.stack(each), 0) - math.log(len(each))

    @torch.no_grad()
    def conditional_marginals(self, x: Tensor, column: int) -> ColumnMarginal:
        """Return the distribution of one column of each row, given the cells of all others that are there.

        Parameters
        ----------
        x
            Shape ``(n, d)``; NaN is not there. The column's own cells do not count.
        column
            Its index.
        """
        check_finite_or_missing(x)
        raws = []
        for part in torch.split(x, self._at_once):
            there, rows = ~part.isnan(), part.double().nan_to_num(nan=0.0)
            given = self._sum(rows, there & (torch.arange(x.shape[1], device=x.device) != column))
            raws.append(self.net.numbers(self.net.hidden(given, self.net.asked[column]), column).double())
        raw = torch.cat(raws) if raws else x.new_zeros(0, self.columns[column].outputs)
        return ColumnMarginal(self.columns[column], raw)

    def _sum(self, rows: Tensor, there: Tensor, some: Sequence[int] | None = None) -> Tensor:
        total = self.net.bias.new_zeros(len(rows), self.net.width)
        for column in range(len(self.columns)) if some is None else some:
            total += self._embedded(rows[:, column], column) * there[:, column, None]
        return total

    @torch.no_grad()
    def impute(self, x: Tensor, draws: int | None = None, seed: int | None = None) -> Tensor:
        """Fill in missing cells: with the best guess of each, or with draws from their joint conditional.

        Parameters
        ----------
        x
            Rows with NaN for missing cells, shape ``(n, d)``. Other cells are returned unchanged.
        draws
            The number of completed tables to draw. None fills in means, and the most probable labels.
        seed
            The seed of the draws, of which row i depends only on the seed and i; None for torch's global
            generator.

        Returns
        -------
        Tensor
            Shape ``(n, d)``, or ``(draws, n, d)``.

        Raises
        ------
        UsageError
            If the number of draws is below 1.
        """
        if x.dim() != 2:
            raise UsageError(f"rows of shape {tuple(x.shape)}", fix=f"give shape (n, {self.event_shape[0]})")
        check_finite_or_missing(x)
        if draws is None:
            return self._guessed(x)
        if checked_count(draws) < 1:
            raise UsageError(f"{draws} draws", fix="draw once or more, or leave draws out")
        seeds = [None if seed is None else derived_seed(seed, number) for number in range(draws)]
        return torch.stack([self.completed(x, own) for own in seeds])

    def _guessed(self, x: Tensor) -> Tensor:
        found = x.clone()
        for column in range(len(self.columns)):
            gone = x[:, column].isnan()
            if bool(gone.any()):
                found[gone, column] = self.conditional_marginals(x[gone], column).mean.to(x.dtype)
        return found

    def sample(self, n: int, context: Tensor | None = None, seed: int | None = None) -> Tensor:
        """Draw rows, shape ``(n, d)``, float64: each in one of the orders, one column after another."""
        empty = torch.full((checked_count(n), len(self.columns)), torch.nan, dtype=torch.float64)
        return self.completed(empty.to(self.net.bias.device), seed)

    @torch.no_grad()
    def completed(self, x: Tensor, seed: int | None, *, left_out: int | None = None) -> Tensor:
        """Return rows with missing cells drawn from their joint conditional distribution.

        Parameters
        ----------
        x
            Rows with NaN for missing cells, shape ``(n, d)``.
        seed
            As of `impute`.
        left_out
            A column whose missing cells stay missing; None for none.
        """
        d = len(self.columns)

        def uniform_pairs(rows: int, generator: torch.Generator | None, device: torch.device) -> Tensor:
            return torch.rand(rows, 2 * d + 1, generator=generator, device=device, dtype=torch.float64)

        uniform = draw_rows(len(x), seed, self._like(), uniform_pairs, width=2 * d + 1)
        choice = (uniform[:, -1] * len(self.chains)).long().clamp(max=len(self.chains) - 1)
        found = x.double().clone()
        pairs = uniform[:, :-1].reshape(-1, d, 2)
        for number, order in enumerate(self.chains):
            for rows in torch.split((choice == number).nonzero()[:, 0], 4 * self._at_once):
                own = [column for column in order.tolist() if column != left_out]
                found[rows] = self._drawn(found[rows], pairs[rows], own)
        return found.to(x.dtype)

    def _drawn(self, x: Tensor, uniform: Tensor, order: Sequence[int]) -> Tensor:
        there = ~x.isnan()
        total = self._sum(x.nan_to_num(nan=0.0), there)
        for column in order:
            gone = ~there[:, column]
            if not bool(gone.any()):
                continue
            hidden = self.net.hidden(total[gone], self.net.asked[column])
            raw = self.net.numbers(hidden, column).double()
            drawn = self.columns[column].sample(raw, uniform[gone, column])
            x[gone, column] = drawn
            total[gone] += self._embedded(drawn, column)
        return x
