"""Scales: monotone maps of one column to model space, chosen by held-out likelihood."""

from logpx.configuration import class_name
from logpx.tables.scales.asinh import Asinh
from logpx.tables.scales.atoms import Atoms
from logpx.tables.scales.cell_histogram import CellHistogram
from logpx.tables.scales.choice import choose_scale
from logpx.tables.scales.codes import Codes
from logpx.tables.scales.log import Log
from logpx.tables.scales.log_odds import LogOdds
from logpx.tables.scales.quantile_spline import QuantileSpline
from logpx.tables.scales.scale import Scale
from logpx.tables.scales.soft_clip import SoftClip
from logpx.tables.scales.standard import Standard

__all__ = [
    "SCALES",
    "Asinh",
    "Atoms",
    "CellHistogram",
    "Codes",
    "Log",
    "LogOdds",
    "QuantileSpline",
    "Scale",
    "SoftClip",
    "Standard",
    "choose_scale",
]

SCALES: dict[str, type[Scale]] = {
    class_name(scale): scale
    for scale in (Standard, Log, LogOdds, Asinh, QuantileSpline, SoftClip, CellHistogram, Atoms, Codes)
}
