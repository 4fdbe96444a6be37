"""Nothing is left in a folder of processes that held it and were killed."""

import os
from pathlib import Path

from logpx.files.lock import HOLDER, exclusive


def test_the_name_that_a_killed_process_was_writing_goes(tmp_path: Path) -> None:
    (tmp_path / f".{HOLDER}.1234567").write_text("{")
    (tmp_path / "other").write_text("stays")
    with exclusive(tmp_path):
        assert sorted(os.listdir(tmp_path)) == [HOLDER, "other"]
    assert os.listdir(tmp_path) == ["other"]
