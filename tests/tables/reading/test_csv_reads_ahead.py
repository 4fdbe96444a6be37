"""Arrow's threads, which read ahead, let go of a file before the process ends."""

import subprocess
import sys

SCRIPT = """
import time, sys
from logpx.tables.reading import csv_header, csv_part

class Slow:
    def __init__(self, stream): self.stream = stream
    def read(self, size):
        time.sleep(0.05)
        return self.stream.read(size)
    def close(self): self.stream.close()

opened = csv_part.open_rows
csv_part.open_rows = lambda file, header: Slow(opened(file, header))
part = csv_part.CsvPart(sys.argv[1])
try:
    print(sum(piece.num_rows for piece in part.read(part.stored.names, 10)))
except Exception as error:
    print(type(error).__name__)
if len(sys.argv) > 2:
    rows = part.read(part.stored.names, 10)
    next(rows)
    del rows
"""


def test_a_process_ends_in_order_though_a_file_is_still_read(tmp_path):
    (tmp_path / "header.csv").write_text("a,b\n")
    (tmp_path / "long.csv").write_text("a,b\n" + "1.5,2.5\n" * 400_000)
    for words in (["header.csv"], ["long.csv", "again"]):
        run = subprocess.run(
            [sys.executable, "-c", SCRIPT, *words], capture_output=True, text=True, cwd=tmp_path, check=False
        )
        assert run.returncode == 0, run.stderr
        assert run.stderr == ""
