"""Names the version on every page, and lets readers change to another one where several lie side by side.

Set by ``docs/build_versions.py``; a single build knows only itself.

- ``versions_name``: the name of this version, which is its folder; by default the release.
- ``versions_newest``: the folder of the newest release; empty where versions do not lie side by side. A page
  of another version then says so, and names the page of the newest release as the one for search engines.
"""

from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

HERE = Path(__file__).parent
SIDEBAR = [
    "sidebar/brand.html",
    "switch.html",
    "sidebar/search.html",
    "sidebar/scroll-start.html",
    "sidebar/navigation.html",
    "sidebar/scroll-end.html",
]


def configure(app: Sphinx, config: Config) -> None:
    config.templates_path = [*config.templates_path, str(HERE / "templates")]
    config.html_static_path = [*config.html_static_path, str(HERE / "static")]
    config.html_sidebars = {"**": SIDEBAR}
    config.versions_name = config.versions_name or config.release
    config.html_title = config.html_title.replace(config.release, config.versions_name)


def counterpart(app: Sphinx, page: str) -> str:
    """Return where a page is in the newest release, from the folder of all versions; else its first page."""
    newest = app.config.versions_newest
    path = f"{newest}/{page}.html"
    return path if (Path(app.outdir).parent / path).is_file() else f"{newest}/index.html"


def say(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Give a page the names of versions; one of another version than the newest says so above its text."""
    name, newest = app.config.versions_name, app.config.versions_newest
    context |= {"version_name": name, "several_versions": bool(newest)}
    if not app.config.html_favicon:
        # Browsers ask the server for an icon that no page names, and say that it is missing.
        context["metatags"] = f'{context.get("metatags", "")}\n<link rel="icon" href="data:,">'
    if newest in ("", name) or "body" not in context:
        return
    up = "../" * (page.count("/") + 1)
    address = escape(up + counterpart(app, page), quote=True)
    context["metatags"] = context.get("metatags", "") + f'\n<link rel="canonical" href="{address}">'
    context["body"] = (
        f'<p class="other-version" role="note">This page is of version {escape(name)}. '
        f'<a href="{address}">Read it in {escape(newest)}</a>, the newest release.</p>\n{context["body"]}'
    )


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_config_value("versions_name", "", "html")
    app.add_config_value("versions_newest", "", "html")
    app.connect("config-inited", configure)
    app.connect("html-page-context", say)
    app.add_css_file("versions.css")
    app.add_js_file("versions.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
