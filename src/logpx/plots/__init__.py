"""Figures of fits and posteriors, from plain numbers: every function draws on axes and returns them.

They need matplotlib (``pip install 'logpx[plots]'``). A function also takes a result that has a method of the
same name. Colours can be told apart by the colour-blind and have contrast on white and on black; text takes
the colours of matplotlib's settings, so ``plt.style.use("dark_background")`` does what it says.
"""

from logpx.plots.cells import plot_imputed, plot_missing
from logpx.plots.comparison import associations, plot_calibration, plot_correlations, plot_log_prob
from logpx.plots.images import plot_images, plot_nearest, plot_pixel_cost
from logpx.plots.importance import plot_bound, plot_modes, plot_weights
from logpx.plots.marginals import plot_marginals
from logpx.plots.pairs import plot_pair
from logpx.plots.reasons import plot_anomalies
from logpx.plots.scatter import plot_clusters, plot_latent
from logpx.plots.training import plot_leaderboard, plot_training

__all__ = [
    "associations",
    "plot_anomalies",
    "plot_bound",
    "plot_calibration",
    "plot_clusters",
    "plot_correlations",
    "plot_images",
    "plot_imputed",
    "plot_latent",
    "plot_leaderboard",
    "plot_log_prob",
    "plot_marginals",
    "plot_missing",
    "plot_modes",
    "plot_nearest",
    "plot_pair",
    "plot_pixel_cost",
    "plot_training",
    "plot_weights",
]
