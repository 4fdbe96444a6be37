"""The page of a model, from Python."""

from __future__ import annotations

from typing import Any

from logpx.explore.explorers import explorer_of
from logpx.explore.server import Server

__all__ = ["serve"]


def serve(model: Any, *, port: int = 0, browser: bool = True, seed: int = 0) -> None:
    """Open a page on which a model answers, until interrupted; as ``logpx explore``.

    Parameters
    ----------
    model
        A model of a table or of images, as `logpx.load` returns it, or a result's ``model``.
    port
        The port on the loopback interface; 0 for any that is free.
    browser
        Whether to open the page in a browser; its address is printed in either case.
    seed
        Seed of noise.

    Raises
    ------
    MissingExtraError
        If the web server is not installed.
    ModelFolderError
        If the model is of another kind.
    UsageError
        If the port is taken.
    """
    import webbrowser

    server = Server(explorer_of(model, seed), port)

    def started() -> None:
        print(server.address, flush=True)
        if browser:
            webbrowser.open(server.address)

    server.run(started)
