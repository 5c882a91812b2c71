"""Images as the authors of benchmarks lay them out: the same pixels, where their tools look for them."""

import io
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.evaluate.small import SmallExperiment
from unix_lib.__main__ import app
from unix_lib.artefacts.errors import UserError
from unix_lib.benchmarks.dpg import read_dpg
from unix_lib.benchmarks.geneval_prompts import checked_prompt


def laid_out(answers: Path, output: Path) -> str:
    result = CliRunner().invoke(app, ["lay-out", str(answers), str(output)], env={"COLUMNS": "500"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def test_genevals_folders_have_each_image_with_what_it_must_show(small: SmallExperiment, tmp_path: Path) -> None:
    evaluation = small.evaluation("geneval", limit=3)
    evaluation.group.make()
    answers = evaluation.members["geneval"].folder
    assert "6 images" in laid_out(answers, tmp_path / "out")
    rows = pq.read_table(answers / "images.parquet").to_pylist()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["00000", "00001", "00002"]
    for row in rows:
        folder = tmp_path / "out" / f"{row['prompt_index']:05d}"
        assert (folder / "samples" / f"{row['sample_index']:05d}.png").read_bytes() == row["image"]
        metadata = json.loads((folder / "metadata.jsonl").read_text())
        assert checked_prompt(metadata)["prompt"] == row["prompt"]
    with pytest.raises(UserError, match="there is something already; give a new folder"):
        laid_out(answers, tmp_path / "out")


@pytest.mark.parametrize(
    ("images", "places"),
    [(1, [(0, 0)]), (2, [(0, 0), (32, 0)]), (4, [(0, 0), (32, 0), (0, 32), (32, 32)])],
)
def test_dpg_benchs_pictures_have_their_images_row_by_row(
    small: SmallExperiment, tmp_path: Path, images: int, places: list[tuple[int, int]]
) -> None:
    sampling = small.evaluation("dpg").generate.image_sampling.model_copy(update={"images_per_prompt": images})
    generate = small.evaluation("dpg").generate.model_copy(update={"image_sampling": sampling})
    evaluation = small.evaluation("dpg", generate=generate)
    evaluation.group.make()
    answers = evaluation.members["dpg"].folder
    laid_out(answers, tmp_path / "out")
    prompts, _ = read_dpg(small.results / small.shapes / "benchmarks" / "dpg.csv")
    for row in pq.read_table(answers / "images.parquet").to_pylist():
        left, top = places[row["sample_index"]]
        picture = pixels((tmp_path / "out" / f"{prompts[row['prompt_index']].item_id}.png").read_bytes())
        assert picture.shape[:2] == (max(y for _, y in places) + 32, max(x for x, _ in places) + 32)
        np.testing.assert_array_equal(picture[top : top + 32, left : left + 32], pixels(row["image"]))


def test_more_images_than_a_grid_holds_and_other_artefacts_are_refused(small: SmallExperiment, tmp_path: Path) -> None:
    evaluation = small.evaluation("pope")
    evaluation.group.make()
    for folder in (evaluation.members["pope"].folder, evaluation.group.folder, small.results / small.shapes):
        with pytest.raises(UserError, match="no images of a benchmark whose authors have a layout"):
            laid_out(folder, tmp_path / "out")
    sampling = evaluation.generate.image_sampling.model_copy(update={"images_per_prompt": 5})
    generate = evaluation.generate.model_copy(update={"image_sampling": sampling})
    many = small.evaluation("dpg", generate=generate, limit=1)
    many.group.make()
    with pytest.raises(UserError, match="5 images a prompt; DPG-Bench's grids hold 4"):
        laid_out(many.members["dpg"].folder, tmp_path / "out")
