"""The pages for those who come from another library: their lines and ours run, in order."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGES = Path(__file__).parents[2] / "docs/coming-from"
# What their lines import.
PEERS = {"scikit-learn": "sklearn", **{name: name for name in ("zuko", "nflows", "sbi", "pyod", "sdv")}}
FENCE = re.compile(r"^```python(?: (\w+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_every_page_is_run():
    assert {page.stem for page in PAGES.glob("*.md")} == {"index", *PEERS}


@pytest.mark.slow
@pytest.mark.parametrize("page", PEERS)
def test_their_lines_and_ours_run(page: str, tmp_path: Path):
    blocks = FENCE.findall((PAGES / f"{page}.md").read_text(encoding="utf-8"))
    assert {peer for peer, _ in blocks} == {"", PEERS[page]}
    if importlib.util.find_spec(PEERS[page]) is None:
        pytest.skip(f"THEIR LINES WERE NOT RUN: not installed: pip install {page}")
    # In a process of its own, for they warn, and some change what all of torch does.
    (tmp_path / "page.py").write_text("\n".join(code for _, code in blocks), encoding="utf-8")
    paths = os.pathsep.join(path for path in sys.path if path)
    ended = subprocess.run(
        [sys.executable, "page.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
