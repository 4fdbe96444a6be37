"""Sphinx configuration: what it builds needs no network, and what it cannot resolve or render is an error."""

import importlib
import pkgutil
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number
from sphinx.writers.html5 import HTML5Translator

import logpx

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "logpx"
author = "The logpx developers"
project_copyright = "The logpx developers"
version = release = logpx.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon"]
extensions += ["dark_figures", "llms", "notebooks", "versions"]
exclude_patterns = ["_build", "extensions"]
html_theme = "furo"
html_title = f"logpx {release}"
html_static_path = ["static"]
html_css_files = ["mathml.css", "pages.css"]
html_js_files = [("accessible.js", {"defer": "defer"})]
html_math_renderer = "mathml"

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
myst_enable_extensions = ["amsmath", "dollarmath"]
myst_update_mathjax = False

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


MATHML = "http://www.w3.org/1998/Math/MathML"
ElementTree.register_namespace("", MATHML)
SCRIPTS = {f"{{{MATHML}}}{name}" for name in ("msub", "msup", "msubsup", "munder", "mover", "munderover")}


def set_as_in_tex(converted: str) -> str:
    """Return the formula with indices beside what has an accent, and no space around the signs in scripts."""
    formula = ElementTree.fromstring(converted.replace("&ApplyFunction;", "\u2061"))
    for script in formula.iter(f"{{{MATHML}}}munderover"):
        base, index, accent = script
        # Sums have limits; but of an accented letter, too, the converter puts the index below it.
        if base.tag != f"{{{MATHML}}}mo":
            script.tag = f"{{{MATHML}}}msub"
            accented = ElementTree.Element(f"{{{MATHML}}}mover")
            accented.extend((base, accent))
            script[:] = (accented, index)
    for script in filter(lambda element: element.tag in SCRIPTS, formula.iter()):
        for part in script[1:]:
            for sign in part.iter(f"{{{MATHML}}}mo"):
                sign.attrib |= {"lspace": "0", "rspace": "0"}
    text = ElementTree.tostring(formula, encoding="unicode", short_empty_elements=False)
    return text.replace("\u2061", "&ApplyFunction;")


def mathml(self: HTML5Translator, node: nodes.math | nodes.math_block) -> str:
    """Return the formula as MathML, which browsers set by themselves; warn where there is no way."""
    display = isinstance(node, nodes.math_block)
    # The converter aligns lines at the top level by itself, and knows the environment inside as "aligned".
    tex = re.sub(r"\\(begin|end)\{(align|equation|gather)\*?\}", "", node.astext()).strip()
    tex = re.sub(r"\\(begin|end)\{split\}", r"\\\1{aligned}", tex)
    tex = re.sub(r"\n\s*\n", r" \\\\ ", tex)
    try:
        converted = tex2mathml(tex, as_block=display)
    except MathError as error:
        logging.getLogger(__name__).warning("cannot render %r: %s", node.astext(), error, location=node)
        return f"<code>{self.encode(node.astext())}</code>"
    converted = set_as_in_tex(converted)
    # Bars and slashes stand without space, as in TeX, and the double bar does not grow.
    tight = r'<mo\1 lspace="0" rspace="0">\2</mo>'
    converted = re.sub(r"<mo((?:(?!lspace)[^>])*)>([|/])</mo>", tight, converted)
    converted = converted.replace("<mo>‖</mo>", '<mo stretchy="false">‖</mo>')
    # The thin space of TeX on either side of a named function: "D log p", but "log (1 + x)" and "(log p".
    thin, name = '<mspace width="0.1667em"></mspace>', r"(?=<mi[^>]*>\w+</mi>\s*<mo>&ApplyFunction;)"
    converted = re.sub(rf"(</m(?:i|n|sub|sup|frac)>|>\)</mo>)\s*{name}", rf"\1{thin}", converted)
    return re.sub(r"(<mo>&ApplyFunction;</mo>)(?!\s*<mo[^>]*>[(\[])", rf"\1{thin}", converted)


def visit_math(self: HTML5Translator, node: nodes.math) -> None:
    self.body.append(f'<span class="math">{mathml(self, node)}</span>')
    raise nodes.SkipNode


def visit_displayed_math(self: HTML5Translator, node: nodes.math_block) -> None:
    self.body.append(self.starttag(node, "div", CLASS="math"))
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append(f"{mathml(self, node)}</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    app.connect("missing-reference", resolve_by_public_name)
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_displayed_math, None))
