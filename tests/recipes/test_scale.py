"""What an experiment says of its size: given by the config, or computed from it."""

import copy
from pathlib import Path
from typing import Any

from tests.workflow.small_config import CONFIG
from unix_lib.config import Experiment, load_experiment, parse_experiment
from unix_lib.config.kinds import known_kinds
from unix_lib.recipes.costs import run_costs
from unix_lib.recipes.scale import scale_of, short, title_of

LATER_SECTIONS = ("translate", "tokenizers", "pack", "train", "evaluate", "analyze", "figures")
ROOT = Path(__file__).resolve().parents[2]


def small(**changes: Any) -> Experiment:
    values = copy.deepcopy(CONFIG) | {"report": {}} | changes
    return parse_experiment({name: value for name, value in values.items() if value is not None}, "test", ROOT)


def test_what_the_config_says_stands() -> None:
    given = small(report={"title": "Mine", "scale": "fake"})
    assert (title_of(given), scale_of(given)) == ("Mine", "fake")


def test_the_sentence_is_computed_where_the_config_has_none() -> None:
    laptop = load_experiment(ROOT / "config" / "laptop.yaml", overrides={"report": {"scale": None, "title": None}})
    assert title_of(laptop) == "Experiment laptop"
    assert scale_of(laptop) == (
        "about 1.2M active parameters, 1.5M training tokens, synthetic 32-pixel scenes, handwritten digits and "
        "Python's own reference, one seed"
    )
    assert run_costs(laptop, "unix").text.parameters == 1_215_616  # as the checkpoint's manifest has it


def test_seeds_are_counted_by_architecture_and_differing_runs_give_ranges() -> None:
    runs = copy.deepcopy(CONFIG["train"]["runs"])
    runs["shared-2"] = {**runs["shared"], "seed": 2}
    runs["unix"]["checkpoints"] = [0, 10]
    sentence = scale_of(small(train={"runs": runs}))
    assert sentence.endswith("one to two seeds")
    assert "2.6k to 7.7k training tokens" in sentence


def test_without_runs_only_sources_are_named() -> None:
    only = small(train=None, evaluate=None, analyze=None, figures=None, pack=None)
    assert scale_of(only) == "handwritten digits and Python's own reference"


def test_no_absolute_path_is_named(tmp_path: Path) -> None:
    """Whatever kind of source reads it: the sentence is hashed with the figures, and shown to strangers."""
    required = {"image_folder": {"folder": f"{tmp_path}/birds", "captions": f"{tmp_path}/birds.jsonl"}}
    required |= {"text": {"corpus": "files"}, "shapes": {}, "digits": {}}
    for kind in known_kinds("source"):
        source = {"kind": kind, **required.get(kind, {})}
        if kind not in required or kind == "text":
            source["files"] = [f"{tmp_path}/birds.*"]
        only = small(sources={"own": source}, **dict.fromkeys(LATER_SECTIONS))
        assert str(tmp_path) not in scale_of(only), kind
        assert ("birds" in scale_of(only)) == (kind not in ("shapes", "digits")), kind


def test_numbers_are_short() -> None:
    assert [short(n) for n in (7, 950, 1216, 1_215_616, 28e9, 3.2e12)] == ["7", "950", "1.22k", "1.22M", "28B", "3.2T"]
