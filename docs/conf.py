"""Sphinx configuration: builds offline; a reference to a logpx name that does not exist is an error."""

import importlib
import pkgutil

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

import logpx

project = "logpx"
author = "The logpx developers"
project_copyright = "The logpx developers"
version = release = logpx.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"logpx {release}"

# Single backticks in a docstring link to the object where it can be imported, and are italics otherwise.
default_role = "autolink"
autosummary_generate = False
autodoc_inherit_docstrings = False
autodoc_default_options = {"members": True, "undoc-members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
myst_heading_anchors = 3

# Names of other projects cannot be looked up offline, and prose types ("array of shape (n, d)") are no names.
nitpick_ignore_regex = [("py:.*", r"(?!logpx\b).*")]


def public_name(target: str) -> str | None:
    """Return where a room exports the object that ``target`` names by its own file.

    Examples
    --------
    ``logpx.transforms.chain.Chain`` is documented as ``logpx.transforms.Chain``.
    """
    package, _, rest = target.partition(".")
    room, _, path = rest.partition(".")
    if package != "logpx" or "." not in path:
        return None
    name = path.rpartition(".")[2]
    exports = getattr(importlib.import_module(f"logpx.{room}"), "__all__", ())
    return f"logpx.{room}.{name}" if name in exports else None


def exists(target: str) -> bool:
    """Return whether a dotted name leads to an object."""
    try:
        pkgutil.resolve_name(target)
    except (AttributeError, ImportError):
        return False
    return True


def resolve_by_public_name(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, contents: nodes.TextElement
) -> nodes.Element | None:
    target = node.get("reftarget", "")
    if node.get("refdomain") != "py" or not target.startswith("logpx."):
        return None
    public = public_name(target)
    if public is not None:
        domain = env.get_domain("py")
        return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", public, node, contents)
    # What exists but is internal to its room is named without a link.
    return contents if exists(target) else None


def setup(app: Sphinx) -> None:
    app.connect("missing-reference", resolve_by_public_name)
