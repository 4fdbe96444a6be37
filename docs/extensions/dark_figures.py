"""Shows ``figure-dark.png`` on dark pages where it lies beside ``figure.png``, loaded once seen."""

from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform


class DarkFigures(SphinxTransform):
    """Puts an image's dark form behind it; the style sheet of the theme shows the one that the page needs."""

    # Before images are collected, and after the parser made them.
    default_priority = 100

    def apply(self) -> None:
        folder = Path(self.env.doc2path(self.env.docname)).parent
        for image in list(self.document.findall(nodes.image)):
            image["loading"] = "lazy"
            light = Path(image["uri"])
            dark = light.with_name(f"{light.stem}-dark{light.suffix}")
            if not (folder / dark).is_file():
                continue
            twin = image.copy()
            twin["uri"] = dark.as_posix()
            image["classes"].append("only-light")
            twin["classes"].append("only-dark")
            image.parent.insert(image.parent.index(image) + 1, twin)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_transform(DarkFigures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
