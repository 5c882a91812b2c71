"""One job as its script sees it: typed settings, the folders of its inputs, and where its output goes."""

import logging
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from pydantic import ValidationError

from unix_lib.artefacts.code import code_at_start, require_library, require_logic_version
from unix_lib.artefacts.files import PARTS, unlink_shared, write_json
from unix_lib.artefacts.manifest import (
    MANIFEST,
    ArtefactError,
    Facts,
    Manifest,
    open_artefact,
    read_manifest,
    write_manifest,
)
from unix_lib.artefacts.recipe import RECIPE, Recipe, RecipeError, read_recipe, results_of
from unix_lib.artefacts.sealed import SealError, read_sealed
from unix_lib.config.file_hashes import FileHashes
from unix_lib.config.jobs import Execution, JobShape
from unix_lib.config.kinds import imported
from unix_lib.config.outside import Outside, require_unchanged
from unix_lib.config.strict import ConfigError, StrictModel
from unix_lib.jobs.job_kinds import job_kind
from unix_lib.jobs.lock import Lock
from unix_lib.jobs.standing import recorded

logger = logging.getLogger(__name__)

Settings = TypeVar("Settings", bound=StrictModel)
ExecutionType = TypeVar("ExecutionType", bound=Execution)


@dataclass
class Job(Generic[Settings, ExecutionType]):
    """Everything a script passes to the library. Inputs are opened, and so checked, when first asked for.

    `settings` are the semantic keys that the recipe holds, `execution` how they are computed here.
    """

    recipe: Recipe
    results: Path  # results/<experiment>
    settings: Settings
    execution: ExecutionType
    started: float = field(default_factory=time.monotonic)
    # As the files were when they were looked at first.
    outside: Outside = field(default_factory=lambda: Outside(Path.cwd(), FileHashes(None)))
    _checked: set[str] = field(default_factory=set)
    _reading: bool = False

    @classmethod
    def from_files(cls, recipe: Path, execution: Path, output: Path) -> "Job[Settings, ExecutionType]":
        """Read a job from the paths on a script's command line.

        Args:
            recipe: results/<experiment>/recipes/<stage>/<name>-<digest>.json.
            execution: JSON of numeric and operational settings, written by the workflow.
            output: the manifest to be written.

        Raises:
            RecipeError: a recipe or execution settings that this version of the library does not know.
            CodeError: the library is not that of the script's clone, or has another logic version.
        """
        require_library(Path(sys.argv[0]).resolve().parent.parent)
        code_at_start()
        values = read_execution(execution)
        job = cls.of(read_recipe(recipe), results_of(recipe), values)
        if output.resolve() != (job.folder / MANIFEST).resolve():
            raise ValueError(f"{output} is not the output of recipe {recipe}; expected {job.folder / MANIFEST}")
        return job

    @classmethod
    def of(cls, recipe: Recipe, results: Path, execution: Execution | dict[str, Any]) -> "Job[Settings, ExecutionType]":
        """A job from its recipe; execution settings that its kind doesn't know are another job's.

        Raises:
            RecipeError: a recipe or execution settings that this version of the library does not know.
            CodeError: a recipe of another logic version.
        """
        try:
            kind = job_kind(recipe.stage, recipe.kind)
            require_logic_version(f"{recipe.artefact} ({kind.make})", recipe.logic_version, kind.logic_version)
            settings = kind.settings.model_validate(recipe.settings)
            if isinstance(execution, Execution):
                execution = execution.model_dump(mode="json")
            known = {name: value for name, value in execution.items() if name in kind.execution.model_fields}
            typed = kind.execution.model_validate(known)
        except (ConfigError, ValidationError) as error:
            first = str(error) if isinstance(error, ConfigError) else _first_fault(error)
            raise RecipeError(
                f"recipe {recipe.artefact}: not of this version ({first}); run the workflow again, which plans anew"
            ) from None
        job = cls(recipe, results, settings, cast("ExecutionType", typed))
        job.folder.mkdir(parents=True, exist_ok=True)
        return job

    def make(self, *more: Any) -> Any:
        """Do the job, by the function that its kind names, which may take more than the job, unless it is done.

        Of a job's several processes the first one asks; what the others do with it is the stage's own.

        Raises:
            UserError: files from outside changed after the plan was made, or while the job reads them.
        """
        kind = job_kind(self.recipe.stage, self.recipe.kind)
        do = imported(kind.make)
        if not first_process():
            return do(self, *more)
        with self.alone():
            if (made := self.made()) is not None:
                return made
            if not kind.reads_when_it_says:
                self.begin_reading()
            return do(self, *more)

    @contextmanager
    def alone(self) -> Iterator[Lock]:
        """Be the only process that makes this artefact, after waiting for one that does.

        What a process that was killed outright was writing is removed.
        """
        with Lock(lock_path(self.work)) as lock:
            for folder in (self.folder, self.work):
                for part in folder.rglob(PARTS):
                    part.unlink()
            with recorded(self.work):
                yield lock

    def made(self) -> Manifest | None:
        """The manifest where the artefact is there and whole; None where it is to be made, for the first time or again.

        So it is with what else the job makes. A damaged one loses its manifest at once: it is unfinished, whatever
        becomes of this process.
        """
        manifest = None
        for artefact in (
            *self.recipe.in_role(job_kind(self.recipe.stage, self.recipe.kind).makes),
            self.recipe.artefact,
        ):
            folder = self.results / artefact
            if not (folder / MANIFEST).is_file():
                unlink_shared(folder)
                return None
            try:
                manifest = open_artefact(folder)
            except ArtefactError as error:
                logger.warning("%s; made again", error)
                (folder / MANIFEST).unlink()
                unlink_shared(folder)
                return None
        logger.info("made before, and whole")
        return manifest

    def begin_reading(self) -> None:
        """Check that the files from outside are those of the plan, before the first of them is read."""
        if first_process():
            self.outside = Outside(Path.cwd(), FileHashes(None))
            require_unchanged(self.recipe.artefact, self.settings, self.outside)
            self._reading = True

    def end_reading(self) -> None:
        """Check that they still are, after the last of them was read; without a word of the job's, when it finishes."""
        if self._reading:
            require_unchanged(self.recipe.artefact, self.settings, self.outside.anew())
            self._reading = False

    @property
    def shape(self) -> JobShape:
        """What the job may use of the machine."""
        return self.execution.job

    @property
    def folder(self) -> Path:
        """The artefact's folder."""
        return self.results / self.recipe.artefact

    @property
    def work(self) -> Path:
        """Undeclared folder for what a killed job resumes from; nothing but the job itself clears it."""
        return self.results / "work" / self.recipe.artefact

    def clear_work(self) -> None:
        """Delete the work folder, once the manifest is written and nothing is left to resume."""
        if self.work.is_dir():
            shutil.rmtree(self.work)

    def input(self, role: str) -> Path:
        """Folder of the one input in a role, its files checked."""
        value = self.recipe.inputs[role]
        if not isinstance(value, str):
            raise TypeError(f"recipe {self.recipe.artefact}: input '{role}' is a list; ask for inputs('{role}')")
        return self._opened(value)

    def inputs(self, role: str) -> list[Path]:
        """Folders of all inputs in a role, their files checked; empty where the role is absent."""
        return [self._opened(artefact) for artefact in self.recipe.in_role(role)]

    def roles(self, prefix: str) -> dict[str, list[Path]]:
        """Folders by what follows `prefix:` in their roles: `records:photos` gives `photos`."""
        names = [role.removeprefix(f"{prefix}:") for role in self.recipe.inputs if role.startswith(f"{prefix}:")]
        return {name: self.inputs(f"{prefix}:{name}") for name in names}

    def _opened(self, artefact: str) -> Path:
        folder = self.results / artefact
        if artefact not in self._checked:
            # Of a job's several processes the first one hashes; the others would read the same bytes again.
            (open_artefact if first_process() else read_manifest)(folder)
            self._checked.add(artefact)
        return folder

    def finish(
        self,
        files: dict[str, int | None],
        *,
        rejected: dict[str, int] | None = None,
        facts: Facts | None = None,
        metrics: dict[str, Any] | None = None,
        beside: Sequence[str] = (),
    ) -> Manifest:
        """Write the manifest, the job's last act; see `write_manifest`.

        The recipe goes into the artefact's folder too: an artefact says by itself what it was made from.
        """
        self.end_reading()
        write_json(self.folder / RECIPE, self.recipe.as_json())
        return write_manifest(
            self.folder,
            self.recipe.digest,
            {**files, RECIPE: None},
            rejected=rejected,
            facts=facts,
            metrics=metrics,
            execution=self.execution.model_dump(mode="json"),
            wall_seconds=time.monotonic() - self.started,
            beside=beside,
        )


def first_process() -> bool:
    """Whether this is the first, or the only one, of a job's processes."""
    return os.environ.get("RANK", "0") == "0"


def lock_path(work: Path) -> Path:
    """The lock of a work folder: beside it, since the folder comes and goes."""
    return work.with_name(f"{work.name}.lock")


def read_execution(path: Path) -> dict[str, Any]:
    """The execution settings that a plan wrote.

    Raises:
        SealError: missing, damaged, or changed since.
    """
    remedy = "run the workflow again, which writes it anew"
    try:
        return read_sealed(path, remedy)
    except FileNotFoundError:
        raise SealError(f"{path}: missing; {remedy}") from None


def _first_fault(error: ValidationError) -> str:
    fault = error.errors()[0]
    return f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
