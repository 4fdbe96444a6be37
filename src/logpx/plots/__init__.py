"""Figures of fits and posteriors, from plain numbers: every function draws on axes and returns them.

They need matplotlib (``pip install 'logpx[plots]'``). A function also takes a result that has a method of the
same name. Colours can be told apart by the colour-blind and have contrast on white and on black; text takes
the colours of matplotlib's settings, so ``plt.style.use("dark_background")`` does what it says.
"""

from logpx.plots.importance import plot_bound, plot_modes, plot_weights
from logpx.plots.marginals import plot_marginals
from logpx.plots.pairs import plot_pair

__all__ = ["plot_bound", "plot_marginals", "plot_modes", "plot_pair", "plot_weights"]
