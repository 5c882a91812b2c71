"""`import`: a checkpoint that was trained elsewhere, in this project's layout, with a manifest."""

import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.console import Console

from unix_lib.artefacts.code import code_at_start
from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.manifest import MANIFEST
from unix_lib.config.analyze import Inputs
from unix_lib.config.brought import NAME, ImportedSettings
from unix_lib.config.experiment import Experiment
from unix_lib.config.file_hashes import FileHashes
from unix_lib.config.generate import Wording
from unix_lib.config.jobs import Execution
from unix_lib.config.load import refused
from unix_lib.config.outside import Outside
from unix_lib.jobs.job import Job
from unix_lib.recipes.plan import Plan
from unix_lib.recipes.workspace import write_jobs
from unix_lib.scoring.bringing import bring
from unix_lib.tokenizers.pretrained_vqgan import PlannedPretrainedVQGAN

IMPORTED = Path("results/imported")


def run(  # noqa: PLR0917
    folder: Path, name: str | None, image_tokenizer: Path | None, template: str | None, language: str, console: Console
) -> int:
    """Import, and say where it lies.

    Args:
        name: in small letters, digits, and . _ -; None is the folder's.
        image_tokenizer: an artefact tokenizers/image, or a folder of published weights.
        template, language: how its prompts are put; without a template the published classes have theirs.

    Raises:
        UserError: a name, template or language that can't be, and whatever is wrong with the folder.
    """
    code_at_start()
    hashes = FileHashes.of_plan(IMPORTED)
    plan = Plan(Experiment.model_construct(experiment=IMPORTED.name), outside=Outside(Path.cwd(), hashes))
    inputs: Inputs = {}
    if image_tokenizer is not None:
        inputs["image_tokenizer"] = _image_tokenizer(image_tokenizer, plan)
    name = name or folder.resolve().name.lower()
    if re.match(NAME, name) is None:
        raise UserError(f"'{name}' is no name of an artefact; give --name in small letters, digits, and . _ -")
    try:
        wording = Wording.model_validate({"template": template or _template(folder), "language": language})
    except ValidationError as error:
        raise refused("import", error) from None
    settings = ImportedSettings(path=str(folder), name=name, wording=wording)
    made = _make(plan, plan.add("train", name, "imported", settings, inputs, Execution()))
    hashes.save()
    what = f"plan {made.facts['architecture']}, {made.facts['parameters_total']:,} parameters"
    told = f"{IMPORTED / made.artefact}: {what}; give this folder wherever a checkpoint is asked for"
    console.print(told, soft_wrap=True, highlight=False)
    return 0


def _template(folder: Path) -> str:
    from unix_lib.models.pretrained import pretrained_config
    from unix_lib.models.published import is_published

    return "published" if is_published(pretrained_config(folder, "main")) else "ours"


def _image_tokenizer(folder: Path, plan: Plan) -> str:
    from unix_lib.tokenizers.vqgan_weights import config_in, shape_of

    if (folder / MANIFEST).is_file():
        return bring(folder, IMPORTED)
    settings = PlannedPretrainedVQGAN(path=str(folder), shape=shape_of(config_in(folder)))
    artefact = plan.add("tokenizers", "image", "image/pretrained", settings, {}, Execution())
    _make(plan, artefact)
    return artefact


def _make(plan: Plan, artefact: str) -> Any:
    write_jobs(plan, IMPORTED)
    job: Job[Any, Any] = Job.of(plan.jobs[artefact].recipe, IMPORTED, plan.jobs[artefact].execution)
    return job.make()
