"""`judge`: score images that were made elsewhere."""

import logging
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from unix_lib.config import load_experiment
from unix_lib.config.evaluate import JudgeSettings
from unix_lib.config.shipped import file_at
from unix_lib.config.strict import ConfigError, nearest
from unix_lib.evaluate.geneval_brought import FolderOrder, judge_folder
from unix_lib.judges.mask2former import Mask2FormerJudge

JUDGED = Path("results/judged")


@dataclass(frozen=True)
class Who:
    """The judge as the command line names it: one of a config's, or Mask2Former and CLIP."""

    config: Path | None
    judge: str | None
    detector: str | None
    clip: str | None
    batch_size: int | None
    device: str | None


def geneval(  # noqa: PLR0917  # options of a command
    folder: Path, who: Who, prompts: Path | None, per_prompt: int | None, output: Path | None, console: Console
) -> int:
    """Judge a folder by GenEval's rules, and print the summary."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    output = output or JUDGED / folder.resolve().name
    prompts = None if prompts is None else file_at(str(prompts))
    console.print(judge_folder(FolderOrder(folder, judge_named(who), output, prompts, per_prompt)), highlight=False)
    console.print(f"results.jsonl, results.txt, scores.csv, judged.json and rejected.parquet are in {output}")
    return 0


def judge_named(who: Who) -> JudgeSettings:
    """The judge's settings.

    Raises:
        ConfigError: no such judge.
    """
    if who.config is None:
        if who.judge is not None:
            raise ConfigError("--judge names one of a config's evaluate.judges; give the config with --config")
        models = {name: {"path": path} for name in ("detector", "clip") if (path := getattr(who, name)) is not None}
        shape = {name: value for name in ("batch_size", "device") if (value := getattr(who, name)) is not None}
        return Mask2FormerJudge.model_validate({"kind": "mask2former"} | models | shape)
    config = load_experiment(who.config).evaluate
    judges = {} if config is None else config.all_judges()
    if who.judge not in judges:
        raise ConfigError(
            f"{who.config}: no judge '{who.judge}' under evaluate.judges; {nearest(str(who.judge), list(judges))}"
        )
    return judges[who.judge]
