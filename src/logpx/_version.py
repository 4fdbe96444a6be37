"""The version of this release, stated here; CITATION.cff and the changelog repeat it."""

__version__ = "0.2.0"
