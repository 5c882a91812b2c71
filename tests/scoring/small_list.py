"""A list of what is scored, with a config of the small experiment's sources."""

from pathlib import Path
from typing import Any

import yaml

from tests.evaluate.small import BENCHMARKS, GENERATE, SmallExperiment
from tests.workflow.small_config import RUN
from unix_lib.artefacts.recipe import recipe_of
from unix_lib.config.kinds import find_kind
from unix_lib.config.sources import SourceKind
from unix_lib.scoring.lists import read_list
from unix_lib.scoring.score import Asked


class SmallList:
    """Writes the config and the list; scores lie in a folder of their own."""

    def __init__(self, small: SmallExperiment, folder: Path) -> None:
        self.small, self.folder = small, folder
        self.results = small.results.parent / folder.name
        cloze = small.results / small.prose / "benchmarks" / "cloze.jsonl"
        benchmarks = {
            **{name: BENCHMARKS[name] for name in ("geneval", "dpg", "pope", "mme", "mmbench")},
            "cloze": {"scorer": "lm_eval", "file": str(cloze), "chance": 0.25},
        }
        self.config: dict[str, Any] = {
            "experiment": small.results.name,
            "sources": {"shapes": _shapes_of(small)},
            "stores": [],
            "tokenizers": {
                "text": {"kind": "train_bpe", "sources": ["shapes"]},
                "image": {
                    "kind": "train_vqgan",
                    "sources": ["shapes"],
                    "shape": {"image_size": 32, "base_channels": 32},
                },
            },
            "pack": {"length": 256, "mixtures": {"mixed": {"parts": [{"source": "shapes"}]}}},
            "train": {"runs": {"tiny": RUN | {"start": {"kind": "fresh", "shape": {"layers": 4}}}}},
            "generate": {
                "image_sampling": GENERATE.image_sampling.model_dump(),
                "max_answer_tokens": GENERATE.max_answer_tokens,
            },
            "evaluate": {
                "benchmarks": benchmarks,
                "groups": {"shapes": ["geneval", "dpg", "pope", "mme", "mmbench"], "text": ["cloze"]},
                "bootstrap_samples": 200,
            },
        }
        self.model: dict[str, Any] = {
            "checkpoint": str(small.results / small.checkpoint),
            "image_tokenizer": str(small.results / small.image_tokenizer),
            "device": "cpu",
        }

    def asked(self, *models: dict[str, Any], **others: Any) -> Asked:
        """What the list asks; each model is the small checkpoint but for what is said."""
        config, path = self.folder / "config.yaml", self.folder / "list.yaml"
        config.write_text(yaml.safe_dump(self.config))
        wanted = {"config": str(config), "defaults": self.model, "models": list(models or [{}])} | others
        path.write_text(yaml.safe_dump(wanted))
        return Asked.of(read_list(path, {}), self.results)


def _shapes_of(small: SmallExperiment) -> dict[str, Any]:
    """What a config says of the source, as far as its benchmarks depend on it."""
    known = find_kind("source", "shapes", SourceKind).settings.model_fields
    settings = recipe_of(small.results / small.shapes).settings
    return {"kind": "shapes"} | {name: value for name, value in settings.items() if name in known}
