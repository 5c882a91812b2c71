"""The `dvc.yaml` of an experiment: coarse stages that call Snakemake, which decides job by job what has to run.

It is written when an experiment is to be kept with DVC, not before: DVC asks for the outputs of every `dvc.yaml` that
it finds, and a bare `dvc pull` fails where one was never made.
"""

import shlex
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from unix_lib.artefacts.files import replace_where_changed
from unix_lib.compare.side import Planned
from unix_lib.recipes.plan import Plan
from unix_lib.recipes.workspace import PLANNED

DEFAULT = "laptop"  # the experiment of a bare `dvc repro`
TEMPLATE = Path(__file__).with_name("dvc.yaml.jinja")
# DVC's stages: those of Snakemake in each, and the stages before it.
STAGES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "data": (("sources", "translate", "tokenizers", "encode", "tokenize", "pack"), ()),
    "train": (("train",), ("data",)),
    "generate": (("generate",), ("train",)),
    "evaluate": (("evaluate",), ("generate",)),
    "analyze": (("analyze",), ("train",)),
    "report": (("figures", "report"), ("evaluate", "analyze")),
}


def pipeline_path(experiment: str) -> Path:
    """Where an experiment's `dvc.yaml` is: in the root for the default one."""
    return Path("dvc.yaml") if experiment == DEFAULT else Path("pipelines") / experiment / "dvc.yaml"


def write_pipeline(plan: Plan, config: Path, profile: str | None) -> Path:
    """Write an experiment's `dvc.yaml`; returns its path.

    Args:
        plan: stages without a job in it are left out.
        config: the experiment's config, relative to the project's root.
        profile: a Snakemake profile to run by, such as `slurm`; None runs on all cores of this machine.
    """
    path = pipeline_path(plan.name)
    made = {job.recipe.stage for job in plan.jobs.values()}
    stages = {name: [part for part in parts if part in made] for name, (parts, _) in STAGES.items()}
    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    text = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        experiment=plan.name,
        config=shlex.quote(config.as_posix()),
        runs_by=f"--profile {profile}" if profile else "--cores all",
        root="../" * (len(path.parts) - 1),
        stages={name: parts for name, parts in stages.items() if parts},
        builds_on={name: list(dict.fromkeys(_builds_on(name, stages))) for name in stages},
        figures={plan.jobs[artefact].recipe.name for artefact in plan.of_stage("figures")},
        target="" if path.parent == Path() else f" {path}",
    )
    replace_where_changed(path, text)
    return path


def locked_digests(stages: Mapping[str, Any], experiment: str) -> Planned:
    """Digests of the recipes that what the stages of a `dvc.lock` made was made from, by Snakemake's stage and name."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for stage in stages.values():
        for name, digests in stage.get("params", {}).get(f"results/{experiment}/{PLANNED}", {}).items():
            found[name] |= digests
    return found


def _builds_on(name: str, stages: dict[str, list[str]]) -> Iterator[str]:
    """The last output of each stage before one, or of those before that where it has none."""
    for before in STAGES[name][1]:
        if stages[before]:
            yield stages[before][-1]
        else:
            yield from _builds_on(before, stages)
