"""Images that a checkpoint drew, as scorers read them."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unix_lib.artefacts.files import write_json
from unix_lib.artefacts.recipe import RECIPE, Recipe
from unix_lib.benchmarks.errors import BenchmarkError
from unix_lib.benchmarks.tables import IMAGES, IMAGES_FILE
from unix_lib.evaluate.generation import undrawn
from unix_lib.evaluate.stored_images import images_a_prompt
from unix_lib.records.rejected import RejectedSamples


def answers(folder: Path, *places: tuple[int, int]) -> Path:
    """Two images of each prompt were asked for, and those at some places are there."""
    recipe = Recipe("generate", "a-geneval", "geneval", 1, {"image_sampling": {"images_per_prompt": 2}})
    path = folder / recipe.artefact
    path.mkdir(parents=True, exist_ok=True)
    write_json(path / RECIPE, recipe.as_json())
    common = {"prompt": "a dog", "seed": 1, "image": b"png"}
    rows = [{"prompt_index": index, "sample_index": sample} | common for index, sample in places]
    pq.write_table(pa.Table.from_pylist(rows, IMAGES), path / IMAGES_FILE)
    return path


def test_images_a_prompt_are_counted_and_none_at_all_is_no_score(tmp_path: Path) -> None:
    assert images_a_prompt(answers(tmp_path, (0, 0), (3, 0))) == 2
    with pytest.raises(BenchmarkError, match="not one image"):
        images_a_prompt(answers(tmp_path))


def test_each_image_that_is_not_there_is_missing_and_says_why(tmp_path: Path) -> None:
    folder, refused = answers(tmp_path, (0, 0), (2, 0), (2, 1)), RejectedSamples()
    refused.add("0-1", "a-geneval", "refused by the endpoint", "status 400")
    refused.write(folder)
    places = {(row["prompt_index"], row["sample_index"]): why for row, why in undrawn(folder, 3)}
    too_long = "its prompt is too long for the model"
    assert places == {(0, 1): "refused by the endpoint: status 400", (1, 0): too_long, (1, 1): too_long}
