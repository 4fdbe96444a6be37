"""Scales: monotone maps of one column to model space, chosen by held-out likelihood."""

from logpx.configuration import class_name
from logpx.tables.scales.asinh import Asinh
from logpx.tables.scales.cells import Cells
from logpx.tables.scales.choice import choose_scale
from logpx.tables.scales.codes import Codes
from logpx.tables.scales.log import Log
from logpx.tables.scales.logit import Logit
from logpx.tables.scales.quantile_spline import QuantileSpline
from logpx.tables.scales.scale import Scale
from logpx.tables.scales.standard import Standard

__all__ = [
    "SCALES",
    "Asinh",
    "Cells",
    "Codes",
    "Log",
    "Logit",
    "QuantileSpline",
    "Scale",
    "Standard",
    "choose_scale",
]

SCALES: dict[str, type[Scale]] = {
    class_name(scale): scale for scale in (Standard, Log, Logit, Asinh, QuantileSpline, Cells, Codes)
}
