"""`translate`: a file's texts in another language; batch files of what is still to be asked, and their replies."""

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.console import Console

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.files import write_text
from unix_lib.artefacts.manifest import MANIFEST, open_artefact
from unix_lib.commands.experiment import PlannedExperiment
from unix_lib.config.strict import ConfigError, Model
from unix_lib.config.translate import TranslatedRecords, TranslateExecution, TranslationEndpoint, Wording
from unix_lib.recipes.plan import PlannedJob
from unix_lib.records.rejected import RejectedSamples
from unix_lib.translate.answers import Answers
from unix_lib.translate.batch import read_replies, write_batches
from unix_lib.translate.errors import TranslateError
from unix_lib.translate.files import read_items, write_items
from unix_lib.translate.make import texts_of_job
from unix_lib.translate.rows import texts_of, translated
from unix_lib.translate.translator import Translator

IMPORTED = "imported"  # file of the answers of batches


@dataclass(frozen=True)
class FileOrder:
    """What is to be done with a file."""

    file: Path
    columns: list[str]  # paths of its texts
    into: str | None  # a new column; None replaces the text
    output: Path | None
    answers: Path

    @property
    def target(self) -> Path:
        """Where the translation goes."""
        return self.output or self.file.with_name(f"{self.file.stem}-translated{self.file.suffix}")

    @property
    def paths(self) -> dict[str, str]:
        """The texts' paths, each with the column that gets the translation.

        Raises:
            TranslateError: several columns for one.
        """
        if self.into is not None and len(self.columns) > 1:
            raise TranslateError(f"--into {self.into} is one column, and --column names several; translate one of them")
        return {path: self.into or path.split(".")[0] for path in self.columns}

    @property
    def first_keys(self) -> list[str]:
        return list(dict.fromkeys(path.split(".")[0] for path in self.columns))


def wording_of(model: str, language: str, instructions: str | None, parameters: str, keep: list[str]) -> Wording:
    """What is asked, as a config would say it.

    Raises:
        ConfigError: names the option that can't be.
    """
    try:
        more = json.loads(parameters)
    except ValueError:
        more = parameters
    values = {"model": model, "language": language, "parameters": more, "keep": keep}
    return _checked(Wording, values if instructions is None else values | {"instructions": instructions})


def endpoint_of(
    url: str | None, key_variable: str | None, concurrency: int, requests_per_minute: float | None
) -> TranslationEndpoint:
    """Where answers come from, as a config would say it. Raises what `wording_of` does."""
    values = {"url": url, "key_variable": key_variable, "concurrency": concurrency}
    return _checked(TranslationEndpoint, values | {"requests_per_minute": requests_per_minute})


def _checked(model: type[Model], values: dict[str, Any]) -> Model:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        fault = error.errors()[0]
        option = "-".join(["-", *map(str, fault["loc"][:1])]).replace("_", "-")
        raise ConfigError(f"{option}: {fault['msg']}") from None


def translate_file(order: FileOrder, wording: Wording, where: TranslationEndpoint, console: Console) -> int:
    """Write the rows whose texts have a translation, and beside them those set aside; returns 1 without any row."""
    if order.target.resolve() == order.file.resolve():
        raise TranslateError(f"{order.file}: the output would take its place; give another --output")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    rejected = RejectedSamples()
    new = [order.into] if order.into is not None else []
    with Translator(order.file.stem, wording, where, order.answers) as translator:
        items = read_items(order.file, order.first_keys)
        rows = translated(items, order.paths, translator.translate, rejected)
        count = write_items(order.target, rows, order.file, new)
    console.print(f"{order.target}: {count} rows translated", highlight=False, soft_wrap=True)
    if len(rejected):
        aside = order.target.with_name(f"{order.target.stem}-rejected.jsonl")
        write_text(aside, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rejected.rows))
        console.print(f"{aside}: {_counted(rejected)}", highlight=False, soft_wrap=True)
    return 0 if count else 1


def export_file(order: FileOrder, wording: Wording, folder: Path, console: Console) -> int:
    """Write what a file's translation still asks for to batch files."""
    items = read_items(order.file, order.first_keys)
    texts = (text for item in items for text in texts_of(item, order.paths))
    with Translator(order.file.stem, wording, TranslationEndpoint(), order.answers) as translator:
        _tell(write_batches(translator.missing(texts), folder, order.file.stem), console)
    return 0


def export_config(config: Path, folder: Path, console: Console) -> int:
    """Write what a config's translations still ask for to batch files.

    Raises:
        TranslateError: a source's records are not made yet.
    """
    experiment = PlannedExperiment.load(config)
    jobs = [experiment.plan.jobs[artefact] for artefact in experiment.plan.of_stage("translate")]
    if not jobs:
        raise TranslateError(f"{config}: it names no translations")
    for job in jobs:
        if (experiment.results / job.recipe.artefact / MANIFEST).is_file():
            continue
        assert isinstance(job.execution, TranslateExecution) and isinstance(job.settings, TranslatedRecords)
        answers = Path(job.execution.answers)
        with Translator(job.recipe.name, job.settings, TranslationEndpoint(), answers) as translator:
            requests = translator.missing(_texts(job, job.settings, experiment, config))
            _tell(write_batches(requests, folder, job.recipe.name), console)
    return 0


def import_replies(files: list[Path], answers: Path, console: Console) -> int:
    """Keep the answers in files of replies; returns 1 where one of them is no answer."""
    rejected = RejectedSamples()
    with Answers(answers, IMPORTED) as kept:
        for file in files:
            console.print(f"{file}: {read_replies(file, kept, rejected)} answers", highlight=False, soft_wrap=True)
    if len(rejected):
        console.print(f"set aside, and exported again: {_counted(rejected)}", highlight=False, soft_wrap=True)
    return 1 if len(rejected) else 0


def _texts(job: PlannedJob, settings: TranslatedRecords, experiment: PlannedExperiment, config: Path) -> Iterator[str]:
    (artefact,) = job.recipe.upstream
    folder = experiment.results / artefact
    try:
        open_artefact(folder)
    except UserError as error:
        made = f"snakemake --cores all --configfile {config} -- {experiment.results}/made/{artefact}"
        raise TranslateError(f"{job.recipe.name}: {error}; `{made}` makes it") from None
    yield from texts_of_job(settings, folder)


def _tell(files: dict[Path, int], console: Console) -> None:
    for path, count in files.items():
        console.print(f"{path}: {count} requests", highlight=False, soft_wrap=True)
    if not files:
        console.print("nothing to ask: every answer is there")


def _counted(rejected: RejectedSamples) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in rejected.counts.items())
