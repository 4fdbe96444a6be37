"""Rows that were drawn, filtered or repeated are rows like others: the index of their frame is no column."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from logpx.tables import fit_table

random = np.random.default_rng(0)
FRAME = pd.DataFrame({"a": random.normal(size=60), "b": random.normal(size=60)})
PARTS = {
    "drawn": FRAME.sample(frac=0.6, random_state=1),
    "filtered": FRAME[FRAME.a > -0.5],
    "repeated": FRAME.iloc[random.integers(0, 60, 80)],
    "named rows": FRAME.set_axis([f"row {place}" for place in range(60)]),
}


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_a_part_of_a_frame_is_scored_completed_and_fitted(part: pd.DataFrame):
    model = fit_table(FRAME, "gaussian", max_time=1).model
    assert torch.equal(model.log_prob(part), model.log_prob(part.reset_index(drop=True)))
    pd.testing.assert_frame_equal(model.impute(part).to_pandas(), part.reset_index(drop=True))
    other = fit_table(part, "gaussian", max_time=1).model
    assert other.schema.modelled_names == ["a", "b"]
    assert torch.isfinite(other.log_prob(FRAME)).all()


def test_a_file_of_a_part_of_a_frame_is_like_any_other(tmp_path: Path):
    model = fit_table(FRAME, "gaussian", max_time=1).model
    part = PARTS["repeated"]
    part.to_parquet(tmp_path / "part.parquet")
    assert torch.equal(model.log_prob(tmp_path / "part.parquet"), model.log_prob(part))
    pd.testing.assert_frame_equal(model.impute(tmp_path / "part.parquet").to_pandas(), part)
    assert fit_table(tmp_path / "part.parquet", "gaussian", max_time=1).model.schema.modelled_names == [
        "a",
        "b",
    ]
