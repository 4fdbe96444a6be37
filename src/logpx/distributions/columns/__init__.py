"""Distributions of single columns, built from a network's numbers: labels, values, numbers with tails."""

from logpx.distributions.columns.base import ColumnDistribution
from logpx.distributions.columns.centred import CentredColumn
from logpx.distributions.columns.labels import LabelColumn
from logpx.distributions.columns.numbers import NumberColumn
from logpx.distributions.columns.values import ValueColumn

__all__ = ["CentredColumn", "ColumnDistribution", "LabelColumn", "NumberColumn", "ValueColumn"]
