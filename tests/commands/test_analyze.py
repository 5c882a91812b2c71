"""`analyze conflict` on a checkpoint and a pack from anywhere, and what it refuses before any gradient is computed."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from tests.analyze.test_make import write_conflict_inputs
from unix_lib.analyze.errors import AnalysisError
from unix_lib.artefacts.manifest import write_manifest
from unix_lib.commands.analyze import conflict, measurement
from unix_lib.config.strict import ConfigError
from unix_lib.models.configuration import ModelError

SETTINGS = {"mixture": "mixed", "documents": 8, "chunks": 4, "splits": 3}


def test_checkpoints_from_anywhere(tmp_path: Path) -> None:
    checkpoint, pack, _ = write_conflict_inputs(tmp_path)
    console = Console(record=True, width=300)
    rounds = measurement(SETTINGS | {"reliability": 0.999, "round_documents": 4, "breakdown": True})
    out = tmp_path / "out"
    assert conflict(checkpoint, pack, rounds, 1, "cpu", out, console) == 1  # as reliable as asked it is not
    assert "less reliable than asked" in console.export_text()
    table = pd.read_csv(out / "conflict.csv")
    assert set(table.layer) == {1, 2, 3} and len(table) == 3 * 8
    known = table.dropna(subset=["corrected"])  # so few documents leave most gradients too noisy to tell
    assert len(known) and (known.corrected_low < known.corrected).all() and known.detectable.gt(0).all()
    assert table[table.corrected.isna()].corrected_low.isna().all()
    assert (out / "conflict.png").stat().st_size > 10_000 and not list(out.glob("work/*"))
    # The same weights without anything around them.
    plain = shutil.copytree(checkpoint / "model", tmp_path / "elsewhere")
    assert conflict(plain, pack, measurement(SETTINGS), 1, "cpu", tmp_path / "plain", console) == 0
    assert set(pd.read_parquet(tmp_path / "plain" / "conflict.parquet").run) == {"elsewhere"}

    log = pd.DataFrame({"loss_image": [None, None]}, dtype=float)
    log.to_parquet(checkpoint / "log.parquet")
    write_manifest(checkpoint, "r", {"log.parquet": 2, "model/config.json": None})
    with pytest.raises(AnalysisError, match="trained on text alone"):
        conflict(checkpoint, pack, measurement(SETTINGS), 1, "cpu", out, console)
    config = json.loads((plain / "config.json").read_text())
    (plain / "config.json").write_text(json.dumps(config | {"text_size": 39}))
    with pytest.raises(ModelError, match="text_size"):
        conflict(plain, pack, measurement(SETTINGS), 1, "cpu", out, console)
    (plain / "config.json").write_text(json.dumps({"model_type": "qwen2"}))
    with pytest.raises(AnalysisError, match="'qwen2' has no image codes"):
        conflict(plain, pack, measurement(SETTINGS), 1, "cpu", out, console)


@pytest.mark.parametrize("keys", [{"chunks": 6}, {"documents": 3}, {"reliability": 0.5, "round_documents": 6}])
def test_measurements_that_cannot_be(keys: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"chunks|documents"):
        measurement(SETTINGS | keys)
