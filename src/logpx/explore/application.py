"""The page and its questions as a web application that only its own page can talk to."""

from __future__ import annotations

import hmac
import json
import threading
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from logpx.errors import LogpxError, MissingExtraError
from logpx.explore.explorer import Explorer

__all__ = ["PAGE", "application", "require_server"]

#: The files of the page, and their types.
PAGE = {
    "": ("explore.html", "text/html; charset=utf-8"),
    "explore.css": ("explore.css", "text/css; charset=utf-8"),
    "explore.js": ("explore.js", "text/javascript; charset=utf-8"),
}
_TOKEN_HEADER = "x-logpx-token"
_MOST_BYTES = 200_000
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def require_server() -> None:
    """Raise unless the web server is installed.

    Raises
    ------
    MissingExtraError
        With the command that installs it.
    """
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("starlette", "explore") from error


def application(explorer: Explorer, token: str, hosts: Sequence[str]) -> Any:
    """Return an application (ASGI) with the page and its questions.

    Parameters
    ----------
    explorer
        What answers.
    token
        What has to come with every question; the page has it from its own address.
    hosts
        Names that a browser may use for this computer, so that no other page can pretend to be ours.

    Returns
    -------
    Starlette
        ``/`` is the page; ``/answer/NAME`` takes a question by POST, in JSON.
    """
    require_server()
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    # Models are not asked two things at once: each answer takes all cores.
    one_at_a_time = threading.Lock()
    folder = files("logpx.explore").joinpath("page")
    page = {path: folder.joinpath(name).read_bytes() for path, (name, _) in PAGE.items()}

    def said(content: dict[str, Any], status: int = 200) -> Response:
        return JSONResponse(content, status, _HEADERS)

    def is_ours(request: Request) -> bool:
        return request.headers.get("host", "").rsplit(":", 1)[0] in hosts

    async def shown(request: Request) -> Response:
        path = request.path_params.get("file", "")
        if not is_ours(request) or path not in PAGE:
            return said({"message": "not found"}, 404)
        return Response(page[path], 200, _HEADERS, PAGE[path][1])

    async def answered(request: Request) -> Response:
        own = request.headers.get(_TOKEN_HEADER, "")
        if not is_ours(request) or not hmac.compare_digest(own.encode(), token.encode()):
            return said({"message": "the address of the page has no valid token"}, 403)
        content = b""
        async for part in request.stream():
            content += part
            if len(content) > _MOST_BYTES:
                return said({"message": "the question is too long"}, 413)
        return said(*await run_in_threadpool(replied, request.path_params["question"], content))

    def replied(question: str, content: bytes) -> tuple[dict[str, Any], int]:
        try:
            given = json.loads(content or b"{}")
            with one_at_a_time:
                return explorer.answer(question, given), 200
        except LogpxError as error:
            place = "" if error.column is None else f"{error.column}: "
            return {"message": f"{place}{error.message}", "fix": error.fix}, 400
        except (ValueError, RecursionError):
            return {"message": "the question is no JSON", "fix": "load the page again"}, 400

    return Starlette(
        routes=[
            Route("/", shown, methods=["GET"]),
            Route("/{file}", shown, methods=["GET"]),
            Route("/answer/{question}", answered, methods=["POST"]),
        ]
    )
