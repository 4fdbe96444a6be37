"""The page, served to this computer alone."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from types import FrameType

from logpx.errors import UsageError
from logpx.explore.application import application, require_server
from logpx.explore.explorer import Explorer

__all__ = ["Server"]

_LOOPBACK = "127.0.0.1"


class Server:
    """A web server on the loopback interface, whose address holds a token.

    Parameters
    ----------
    explorer
        What answers.
    port
        The port; 0 for any that is free.

    Attributes
    ----------
    address : str
        What to open in a browser.

    Raises
    ------
    MissingExtraError
        If the web server is not installed.
    UsageError
        If the port is taken.
    """

    def __init__(self, explorer: Explorer, port: int = 0) -> None:
        require_server()
        token = secrets.token_urlsafe(24)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            self._socket.bind((_LOOPBACK, port))
        except (OSError, OverflowError) as error:
            self._socket.close()
            raise UsageError(
                f"port {port} cannot be used ({getattr(error, 'strerror', None) or error})",
                fix="leave --port out, or take another",
            ) from error
        # Behind the hash, so that it is in no log of requests.
        self.address = f"http://{_LOOPBACK}:{self._socket.getsockname()[1]}/#{token}"
        self._application = application(explorer, token, (_LOOPBACK, "localhost"))

    def run(self, started: Callable[[], object] = lambda: None) -> None:
        """Serve until interrupted.

        Parameters
        ----------
        started
            Called once the page can be opened.
        """
        import uvicorn

        class Quiet(uvicorn.Server):
            def handle_exit(self, sig: int, frame: FrameType | None) -> None:
                self.should_exit = self.force_exit = True

            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets)
                started()

        options = uvicorn.Config(
            self._application,
            log_level="warning",
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
        with self._socket:
            Quiet(options).run(sockets=[self._socket])
