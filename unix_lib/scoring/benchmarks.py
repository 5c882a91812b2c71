"""Which benchmarks a model answers, and how: by name, group or family, from a config and a list's own."""

import os
from collections.abc import Mapping
from typing import get_args

from pydantic import ValidationError

from unix_lib.benchmarks.errors import BenchmarkError
from unix_lib.config.consistency import faults
from unix_lib.config.evaluate import BenchmarkSettings, EvaluateConfig, Family, ScorerKind
from unix_lib.config.experiment import Experiment
from unix_lib.config.generate import GenerateConfig
from unix_lib.config.jobs import JobShape
from unix_lib.config.kinds import find_kind
from unix_lib.config.load import refused
from unix_lib.config.strict import ConfigError, nearest
from unix_lib.fetch.brought import brought
from unix_lib.scoring.lists import ScoredModel, ScoringList


def all_benchmarks(wanted: ScoringList, experiment: Experiment) -> EvaluateConfig:
    """The config's benchmarks and judges with the list's own; those that are in no group of the config have one each.

    Raises:
        ConfigError: the config has no benchmarks, or one of the list names a source or a judge that it has not.
    """
    config = experiment.evaluate
    if config is None:
        raise ConfigError(f"{wanted.config}: it has no section 'evaluate'; give a config that has, with --config")
    groups = config.groups | {name: [name] for name in wanted.benchmarks if name not in config.benchmarks}
    benchmarks = config.benchmarks | wanted.benchmarks
    every = config.model_copy(
        update={"benchmarks": benchmarks, "groups": groups, "judges": config.judges | wanted.judges}
    )
    if found := faults(experiment.model_copy(update={"evaluate": every})):
        raise ConfigError(f"{wanted.config} with the list's benchmarks: {found[0]}")
    return every


def chosen(model: ScoredModel, every: EvaluateConfig) -> EvaluateConfig:
    """The benchmarks that a model answers, each a group of its own, with the model's files and limit.

    Raises:
        BenchmarkError: no such benchmark, group or family. ConfigError: a file or a limit that a benchmark can't have.
    """
    families = {name: find_kind("scorer", each.scorer, ScorerKind).family for name, each in every.benchmarks.items()}
    known: dict[str, list[str]] = {
        family: [n for n in families if families[n] == family] for family in get_args(Family)
    }
    known |= every.groups
    known |= {name: [name] for name in every.benchmarks}
    for name in (*model.benchmarks, *model.files, *model.prompts):
        if name not in known:
            raise BenchmarkError(f"{model.called}: unknown benchmark '{name}'; {nearest(name, list(known))}")
    names = dict.fromkeys(name for asked in model.benchmarks or every.benchmarks for name in known[asked])
    benchmarks = {name: _changed(model, name, every.benchmarks[name]) for name in names}
    return every.model_copy(update={"benchmarks": benchmarks, "groups": {name: [name] for name in names}})


def _changed(model: ScoredModel, name: str, benchmark: BenchmarkSettings) -> BenchmarkSettings:
    """A benchmark with the model's files and limit."""
    values = benchmark.model_dump(exclude_unset=True)
    if name in model.files:
        values = {key: value for key, value in values.items() if key not in benchmark.origins()}
        values["file"] = model.files[name]
    values |= said({"prompts": model.prompts.get(name), "limit": model.limit})
    try:
        return type(benchmark).model_validate(values)
    except ValidationError as error:
        raise refused(f"{model.called}: benchmark {name}", error) from None


def generation(model: ScoredModel, config: GenerateConfig) -> GenerateConfig:
    """How the model answers: as the config has it, but for what the model says itself."""
    sampling = said({"guidance_scale": model.guidance, "images_per_prompt": model.images_per_prompt})
    asked = said({"max_answer_tokens": model.max_answer_tokens, "question_suffix": model.question_suffix})
    shape = JobShape(threads=len(os.sched_getaffinity(0)), gpus=0 if model.device == "cpu" else 1)
    sampled = config.image_sampling.model_copy(update=sampling)
    return config.model_copy(update=asked | {"image_sampling": sampled, "batch_size": model.batch_size, "job": shape})


def said(values: Mapping[str, object]) -> dict[str, object]:
    """Values without those that a model doesn't say."""
    return {name: value for name, value in values.items() if value is not None}


def require_files(name: str, benchmark: BenchmarkSettings, config: str) -> None:
    """See that what a benchmark needs lies here, before a model is loaded for it.

    Raises:
        BenchmarkError: it does not, and where to get it.
    """
    for need in benchmark.needs(name):
        if need.local is not None and not need.local.exists():
            known = brought(need)
            told = f"it comes from {known.where} ({known})" if known else "data/README.md says where it comes from"
            raise BenchmarkError(
                f"{need.what} is missing; {told}, `unix-lib fetch {config}` gets what can be downloaded, and --file "
                "names another place"
            )
