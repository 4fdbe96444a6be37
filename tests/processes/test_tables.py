"""All rows of a table, read by several processes: each its own row groups, and the same bits as one."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.slow

ROWS, GROUPS = 5000, 10

# The processes have the same models from the start, and count the rows that they read.
SCRIPT = """
import hashlib, json
from logpx.latent import FactorAnalysis, GaussianMixture
from logpx.scoring import Limits
from logpx.tables import ColumnScales, Support, infer_schema, open_table
from logpx.tables.density import TableDensity
from logpx.tables.families.family import Budget
from logpx.tables.fitting import streamed_rows
from logpx.tables.fitting.all_rows import FitToAllRows
from logpx.training.journal import journal_of

file, read = {file!r}, []
take = streamed_rows.as_modelled
def counted(density, noisy, *rest):
    read.append(len(noisy))
    return take(density, noisy, *rest)
streamed_rows.as_modelled = counted

table = open_table(file)
rows = streamed_rows.StreamedRows(table=table, schema=infer_schema(table), seed=0)
head = torch.from_numpy(next(iter(table.matrices(200))))
models = []
for model in (GaussianMixture(2, 3).double(), FactorAnalysis(3, 1).double(), GaussianMixture(1, 3).double()):
    density = TableDensity(ColumnScales.standard(head.numpy(), [Support()] * 3), model)
    model.initialise_components(density.in_model_units(head)[0], 1)
    models.append(density)

streamed_rows._SECONDS_APART = 0.0
stops = lambda: sum(read) >= float({stop!r})

def lead():
    for number, (density, steps) in enumerate(zip(models, (3, None, None))):
        run = {run!r} and {run!r} + str(number)
        journal = journal_of(run, run, 30.0, stops)
        budget = Budget(
            seconds=float("inf"), rows=200, kinds=["normal"] * 3, limits=Limits(steps=steps),
            should_stop=stops, journal=journal,
        )
        stage = FitToAllRows(rows=rows, count=table.count_rows(), budget=budget, holes=False)
        print(stage.fit(density).note)
        if stops():
            break
        content = b"".join(tensor.numpy().tobytes() for tensor in density.state_dict().values())
        print(hashlib.sha256(content).hexdigest())

by_all(models, streamed_rows.HANDLERS, lead)
print(json.dumps(read), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(ROWS, 3)) + 2.0 * generator.integers(0, 2, ROWS)[:, None]
    path = tmp_path_factory.mktemp("long") / "t.parquet"
    table = pa.table({name: x[:, place] for place, name in enumerate("abc")})
    pq.write_table(table, path, row_group_size=ROWS // GROUPS)
    return path


def script_of(file: Path, stop: str = "inf", run: Path | None = None) -> str:
    script = SCRIPT
    for name, value in {"file": str(file), "stop": stop, "run": None if run is None else str(run)}.items():
        script = script.replace(f"{{{name}!r}}", repr(value))
    return script


def rows_read(errors: str) -> int:
    return sum(json.loads(errors.splitlines()[-1]))


@pytest.mark.parametrize("size", [2, 3])
def test_row_groups_are_divided_and_sums_are_the_same(several, alone, file: Path, size: int):
    script = script_of(file)
    ended = [process.communicate(timeout=200) for process in several(script, size)]
    printed, counted = alone(script)
    assert ended[0][0] == printed
    assert "4 steps" not in printed
    assert "in closed form on all 5,000 rows" in printed
    each = [rows_read(errors) for _, errors in ended]
    passes, rest = divmod(rows_read(counted), ROWS)
    assert rest == 0
    assert sum(each) == passes * ROWS
    # No process reads more than its row groups.
    own = [len(range(rank, GROUPS, size)) for rank in range(size)]
    assert each == [passes * count * ROWS // GROUPS for count in own]


def test_a_pass_that_was_stopped_goes_on_with_other_processes(several, alone, file: Path, tmp_path: Path):
    whole, counted = alone(script_of(file))
    read = 0
    for size, stop in ((2, "900"), (3, "2400")):
        ended = [p.communicate(timeout=200) for p in several(script_of(file, stop, tmp_path / "run"), size)]
        assert "the fit to all rows was interrupted" in ended[0][0]
        read += sum(rows_read(errors) for _, errors in ended)
    again, errors = alone(script_of(file, "inf", tmp_path / "run"))
    assert again == whole
    # No row is added up twice.
    assert read + rows_read(errors) == rows_read(counted)
