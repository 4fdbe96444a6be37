"""What Typer's completion lacks: in zsh, the first press of the key in a new shell did nothing."""

from __future__ import annotations

from contextlib import suppress

__all__ = ["complete_at_once"]

_REGISTERED = "compdef %(complete_func)s %(prog_name)s"
# zsh loads the file as the body of a function when it is first wanted, and that function has to answer, too.
_ANSWERED = (
    'if [[ "${funcstack[1]}" == "_%(prog_name)s" ]]; then\n'
    '  %(complete_func)s "$@"\n'
    "else\n"
    f"  {_REGISTERED}\n"
    "fi"
)


def complete_at_once() -> None:
    """Let the script for zsh answer when it is loaded; do nothing under a Typer that has another one."""
    with suppress(ImportError, AttributeError, KeyError):
        from typer import _completion_shared

        scripts = _completion_shared._completion_scripts
        if _ANSWERED not in scripts["zsh"]:
            scripts["zsh"] = scripts["zsh"].replace(_REGISTERED, _ANSWERED)
