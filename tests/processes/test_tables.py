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

def lead():
    for density, steps in zip(models, (3, None, None)):
        budget = Budget(seconds=float("inf"), rows=200, kinds=["normal"] * 3, limits=Limits(steps=steps))
        stage = FitToAllRows(rows=rows, count=table.count_rows(), budget=budget, holes=False)
        print(stage.fit(density).note)
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


@pytest.mark.parametrize("size", [2, 3])
def test_row_groups_are_divided_and_sums_are_the_same(several, alone, file: Path, size: int):
    script = SCRIPT.replace("{file!r}", repr(str(file)))
    ended = [process.communicate(timeout=200) for process in several(script, size)]
    printed, counted = alone(script)
    assert ended[0][0] == printed
    assert "4 steps" not in printed
    assert "in closed form on all 5,000 rows" in printed
    each = [sum(json.loads(errors.splitlines()[-1])) for _, errors in ended]
    passes, rest = divmod(sum(json.loads(counted.splitlines()[-1])), ROWS)
    assert rest == 0
    assert sum(each) == passes * ROWS
    # No process reads more than its row groups.
    own = [len(range(rank, GROUPS, size)) for rank in range(size)]
    assert each == [passes * count * ROWS // GROUPS for count in own]
