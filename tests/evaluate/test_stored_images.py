"""Images that a checkpoint drew, as scorers read them."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unix_lib.benchmarks.errors import BenchmarkError
from unix_lib.benchmarks.tables import IMAGES, IMAGES_FILE
from unix_lib.evaluate.stored_images import images_a_prompt


def test_images_a_prompt_are_counted_and_none_at_all_is_no_score(tmp_path: Path) -> None:
    rows = [
        {"prompt_index": index, "sample_index": sample, "prompt": "a dog", "seed": 1, "image": b"png"}
        for index in (0, 3)
        for sample in range(2)
    ]
    for some, count in ((rows, 2), ([], None)):
        pq.write_table(pa.Table.from_pylist(some, IMAGES), tmp_path / IMAGES_FILE)
        if count is None:
            with pytest.raises(BenchmarkError, match="not one image"):
                images_a_prompt(tmp_path)
        else:
            assert images_a_prompt(tmp_path) == count
