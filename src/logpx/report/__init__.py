"""Reports: what a model folder holds and how good it is, as one page of HTML that needs no network.

They need matplotlib (``pip install 'logpx[plots]'``).
"""

from logpx.report.parts import Figure, Report, Section, SortableTable, Verdict
from logpx.report.report import model_report, render, write_report

__all__ = [
    "Figure",
    "Report",
    "Section",
    "SortableTable",
    "Verdict",
    "model_report",
    "render",
    "write_report",
]
