"""The web application answers its own page alone, and nothing that it is sent makes it fail."""

import asyncio
import json

import pytest

from logpx.errors import UsageError
from logpx.explore import Explorer, Server
from logpx.explore.application import application

HOST = {"host": "127.0.0.1:8000"}
TOKEN = {"x-logpx-token": "secret"}


class Echo(Explorer):
    """Answers with the question."""

    def __init__(self) -> None:
        self.questions = {"echo": dict}

    def describe(self) -> dict:
        return {"kind": "echo"}


@pytest.fixture(scope="module")
def ask():
    asked = application(Echo(), "secret", ("127.0.0.1", "localhost"))

    def ask(path: str, body: bytes | None = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "GET" if body is None else "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }
        sent = []

        async def receive() -> dict:
            return {"type": "http.request", "body": body or b"", "more_body": False}

        async def send(message: dict) -> None:
            sent.append(message)

        asyncio.run(asked(scope, receive, send))
        own = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return sent[0]["status"], own, b"".join(part.get("body", b"") for part in sent[1:])

    return ask


def test_the_page_loads_nothing_from_outside(ask) -> None:
    status, headers, page = ask("/", **HOST)
    assert status == 200
    assert b"http" not in page.replace(b"http-equiv", b"")
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert headers["cache-control"] == "no-store"
    for name in ("/explore.js", "/explore.css"):
        assert ask(name, **HOST)[0] == 200
    assert ask("/secret.txt", **HOST)[0] == 404


def test_answers_need_the_token_and_the_name_of_this_computer(ask) -> None:
    assert json.loads(ask("/answer/echo", b'{"a": 1}', **HOST, **TOKEN)[2]) == {"a": 1}
    for headers in (HOST, {**HOST, "x-logpx-token": "secre"}, TOKEN, {**TOKEN, "host": "evil.example:80"}):
        status, _, content = ask("/answer/echo", b"{}", **headers)
        assert status == 403
        assert b"token" in content
    assert ask("/", host="evil.example")[0] == 404


@pytest.mark.parametrize("body", [b"{", b"[1]", b"\xff", b"[" * 50_000, b"null"])
def test_what_is_no_question_is_an_error_in_words(ask, body: bytes) -> None:
    status, _, content = ask("/answer/echo", body, **HOST, **TOKEN)
    assert status == 400
    assert json.loads(content)["fix"]


def test_long_questions_are_refused(ask) -> None:
    assert ask("/answer/echo", b'"' + b"a" * 300_000 + b'"', **HOST, **TOKEN)[0] == 413


@pytest.mark.enable_socket
def test_the_address_is_of_this_computer_with_a_new_token_each_time() -> None:
    one, two = Server(Echo()), Server(Echo())
    try:
        assert one.address.startswith("http://127.0.0.1:")
        assert one.address.split("#")[1] != two.address.split("#")[1]
        port = int(one.address.split(":")[2].split("/")[0])
        with pytest.raises(UsageError, match="cannot be used"):
            Server(Echo(), port)
    finally:
        for server in (one, two):
            server._socket.close()
