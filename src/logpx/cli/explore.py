"""``logpx explore``: a local page on which a model answers."""

from __future__ import annotations

from typing import Annotated

import typer

from logpx.cli.options import Device, Json, ModelFolder, Quiet, Seed
from logpx.cli.output import Output

__all__ = ["explore"]


def explore(
    model: ModelFolder,
    port: Annotated[
        int,
        typer.Option(
            "--port",
            metavar="N",
            min=0,
            max=65535,
            show_default=False,
            help="The port; by default one that is free.",
        ),
    ] = 0,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Whether to open the page in a browser.")
    ] = True,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Open a page on which the model answers: hold columns fixed and see the others move.

    \b
    Examples:
      logpx explore model/
      logpx explore model/ --no-browser --port 8000

    Of a table: the density of every column given those that are held fixed, rows drawn like this, log p of
    a row with reasons. Of images: samples at a temperature. Of both, where the model has one: its latent
    space. Only this computer can open the page, with the token in its address; it changes nothing. An
    interrupt ends it. Needs pip install 'logpx[explore]'.
    """  # noqa: D301 - \b keeps the lines of the examples apart
    import sys
    import webbrowser

    from logpx.explore.application import require_server

    out = Output(as_json, quiet)
    require_server()
    from logpx.explore import Server, explorer_of
    from logpx.storage import load

    server = Server(explorer_of(load(model, device), seed), port)

    def started() -> None:
        out.document({"address": server.address})
        out.text(server.address)
        sys.stdout.flush()
        out.note("open this address; an interrupt (Ctrl-C) ends it")
        if browser:
            webbrowser.open(server.address)

    server.run(started)
