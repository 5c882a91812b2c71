"""What a mixture may say, what it is asked to mend, and what is said of it before it is packed."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from unix_lib.config import parse_experiment
from unix_lib.config.models import RunStart
from unix_lib.config.pack import Mixture, PackSettings


def mixture(*parts: dict[str, Any], **settings: Any) -> Mixture:
    return Mixture.model_validate({"parts": list(parts)} | settings)


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        (
            [{"source": "a", "tokens": 5, "share": 0.5}],
            "source 'a' has tokens and share; give it one of weight, tokens",
        ),
        ([{"source": "a", "weight": 2, "tokens": 5}], "source 'a' has weight and tokens"),
        (
            [{"source": "a", "share": 0.5}, {"source": "b", "share": 0.4}],
            "the shares of the parts add up to 0.9; make it 1",
        ),
        ([{"source": "a", "share": 0.7}, {"source": "b", "share": 0.3}, {"source": "c"}], "shares of 1 leave nothing"),
        ([{"source": "a"}, {"source": "a"}], "source 'a' appears twice"),
    ],
)
def test_units_that_contradict_each_other_are_refused(parts: list[dict[str, Any]], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        mixture(*parts)


def test_shares_may_be_rounded() -> None:
    assert mixture(*({"source": name, "share": 1 / 3} for name in "abc")).parts[0].share == 1 / 3


def test_what_a_mixture_does_not_say_leaves_its_recipe_as_it_was() -> None:
    said = PackSettings.model_validate({"parts": [{"source": "a"}], "pack_length": 100, "seed": 1}).semantic()
    assert said.keys() == {
        *("parts", "epochs", "text_to_image_ratio", "unconditional_probability", "mask_instructions"),
        *("pack_length", "seed"),
    }
    assert said["parts"] == [{"source": "a", "weight": 1.0, "kinds": []}]


def notices(*parts: dict[str, Any], **settings: Any) -> list[str]:
    return list(mixture(*parts, **settings).notices("mixed", ["photos", "scans", "bare"], ["photos", "scans"]))


def test_what_is_repeated_is_said_before_it_happens() -> None:
    [line] = notices({"source": "photos", "weight": 2.5}, {"source": "scans", "weight": 0.5})
    assert line == "pack.mixtures.mixed: each record of source photos is used 2.5 times an epoch."


def test_a_mixture_without_images_or_without_any_to_be_made_is_said_to_be_one() -> None:
    photos, prose = {"source": "photos"}, {"source": "prose"}
    for parts in ([prose], [prose, photos | {"kinds": ["text"]}]):
        [line] = notices(*parts)
        assert "none of its sources has images" in line
    unasked = "no sample asks for an image"
    for parts in ([photos | {"kinds": ["conversation"]}, prose], [photos | {"text_to_image_ratio": 0.0}]):
        [line] = notices(*parts)
        assert unasked in line
    [line] = notices(photos, text_to_image_ratio=0.0)
    assert unasked in line
    assert not notices(photos | {"text_to_image_ratio": 0.1}, text_to_image_ratio=0.0)
    assert not notices(photos, prose)


def test_images_that_nothing_asks_for_are_said_to_be_such() -> None:
    bare, photos = {"source": "bare"}, {"source": "photos"}
    for parts in ([bare], [bare, photos | {"text_to_image_ratio": 0.0}], [bare | {"text_to_image_ratio": 0.0}]):
        [line] = notices(*parts)
        assert "no caption asks for an image" in line
    assert not notices(bare, photos)


def test_the_mixtures_and_runs_that_are_explained_are_an_experiment() -> None:
    """Whatever section a block is of, it must hold, and fit the other blocks: a run names a mixture of the page."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "mixtures.md").read_text(encoding="utf-8")
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)]
    sections = {name: section for block in blocks for name, section in block.items()}
    assert sections.keys() >= {"pack", "train"} and len(sections) == sum(map(len, blocks))
    named = {part["source"] for mixture in sections["pack"]["mixtures"].values() for part in mixture["parts"]}
    sources = {name: {"kind": "finevision", "files": [f"data/{name}.parquet"]} for name in named}
    tokenizers = {
        "text": {"kind": "pretrained", "path": "a/b", "revision": "0" * 40},
        "image": {"kind": "pretrained", "path": "data/tokenizer", "shape": {}},
    }
    around = {"experiment": "explained", "sources": sources, "tokenizers": tokenizers}
    explained = parse_experiment(around | sections, "the page", Path())
    assert explained.mixtures["tuning"].template == "published"
    assert explained.runs["tuned"].start == RunStart(kind="run", run="pretraining")
    for key in Mixture.model_fields.keys() - {"parts"}:
        assert f"`{key}" in page or f"{key}:" in page
