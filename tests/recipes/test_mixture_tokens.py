"""Tokens of a mixture before it is packed, and after."""

from pathlib import Path
from typing import Any

import pytest

from tests.recipes.finished import small_plan
from unix_lib.artefacts.manifest import write_manifest
from unix_lib.config.strict import ConfigError
from unix_lib.recipes.disk import disk_bytes
from unix_lib.recipes.mixture_tokens import BYTES_PER_TOKEN, MARKERS, image_length, mixture_tokens
from unix_lib.recipes.plan import Plan
from unix_lib.records.schema import RECORD
from unix_lib.records.shards import ShardWriter

COUNTS = ("documents", "text_tokens", "image_tokens", "trained_tokens")


def write_records(plan: Plan, results: Path, source: str, rows: list[dict[str, Any]]) -> None:
    [artefact] = plan.records(source)
    with ShardWriter(results / artefact, "train", RECORD) as writer:
        for number, row in enumerate(rows):
            writer.write({"sample_id": f"{number}", "source": source} | row)


def parts_with(*units: dict[str, Any]) -> Any:
    def change(values: dict[str, Any]) -> None:
        parts = values["pack"]["mixtures"]["mixed"]["parts"]
        for part, unit in zip(parts, units, strict=True):
            part.update(unit)

    return change


def test_before_there_are_records_it_says_so_and_counts_what_the_sources_are_known_to_have(tmp_path: Path) -> None:
    plan = small_plan(parts_with({"weight": 3.0}, {}))
    digits, prose = mixture_tokens(plan, tmp_path, "mixed")
    assert (digits.measured, digits.weight, digits.trained_tokens) == (False, 3.0, None)
    assert digits.image_tokens == digits.documents * image_length(plan) > 0
    assert digits.documents == pytest.approx(3 * 1797, rel=0.2)
    assert prose.image_tokens == 0 < prose.text_tokens
    packed = digits.text_tokens / 3 * 4 + digits.image_tokens / 3 * 2 + prose.text_tokens * 4  # each token once
    packed += (digits.documents / 3 + prose.documents) * 16 + (digits.documents + prose.documents) * 6
    assert disk_bytes(plan, plan.pack("mixed"), tmp_path) == pytest.approx(packed)


def test_records_that_are_made_are_looked_at(tmp_path: Path) -> None:
    plan = small_plan(parts_with({"kinds": ["image_text"]}, {}))
    caption, talk = {"kind": "image_text", "text": "c" * 40, "image_ids": ["a"]}, "x" * 600
    turns = [{"role": "user", "content": talk}, {"role": "assistant", "content": "yes"}]
    conversation = {"kind": "conversation", "messages": turns, "image_ids": ["a", "b"]}
    write_records(plan, tmp_path, "digits", [caption, conversation] * 2000)
    write_records(plan, tmp_path, "prose", [{"kind": "text", "text": "ü" * 200}] * 300)
    digits, prose = mixture_tokens(plan, tmp_path, "mixed")
    assert digits.documents == pytest.approx(2000)  # of 4,000 records every second is of the kind
    assert digits.text_tokens == pytest.approx(2000 * (MARKERS + 40 / BYTES_PER_TOKEN))
    assert digits.image_tokens == pytest.approx(2000 * image_length(plan))
    assert prose.text_tokens == pytest.approx(300 * (MARKERS + 400 / BYTES_PER_TOKEN))  # two bytes a letter


def test_shares_are_estimated_too_and_a_source_without_data_is_named(tmp_path: Path) -> None:
    plan = small_plan(parts_with({"share": 0.9}, {"share": 0.1}))
    parts = mixture_tokens(plan, tmp_path, "mixed")
    tokens = [own.text_tokens + own.image_tokens for own in parts]
    assert tokens[0] / sum(tokens) == pytest.approx(0.9)
    write_records(plan, tmp_path, "prose", [])
    with pytest.raises(ConfigError, match="source prose is to give tokens and has no usable training record"):
        mixture_tokens(plan, tmp_path, "mixed")
    assert disk_bytes(plan, plan.pack("mixed"), tmp_path) == 0


def test_of_packs_it_says_what_was_counted(tmp_path: Path) -> None:
    def two_epochs(values: dict[str, Any]) -> None:
        values["pack"]["mixtures"]["mixed"]["epochs"] = 2

    plan = small_plan(two_epochs)
    folder = tmp_path / plan.pack("mixed")
    folder.mkdir(parents=True)
    epochs = [
        {"digits": dict(zip(COUNTS, numbers, strict=True)), "prose": dict.fromkeys(COUNTS, 0)}
        for numbers in ((10, 100, 640, 400), (20, 300, 1280, 800))
    ]
    files = {f"epoch-{number:03d}.arrow": {"parts": parts} for number, parts in enumerate(epochs)}
    write_manifest(folder, "digest", {}, facts={"files": files, "weights": {"digits": 1.5, "prose": 1.0}})
    digits, prose = mixture_tokens(plan, tmp_path, "mixed")
    assert (digits.measured, digits.weight) == (True, 1.5)
    assert [getattr(digits, name) for name in COUNTS] == [15, 200, 960, 600]
    assert [getattr(prose, name) for name in COUNTS] == [0, 0, 0, 0]
    (folder / "manifest.json").write_text("damaged")
    assert [own.measured for own in mixture_tokens(plan, tmp_path, "mixed")] == [False, False]
