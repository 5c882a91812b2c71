"""Takes a sample of an experiment's data through the stages before training, in a folder that is thrown away.

The jobs are those of the workflow, on sources that say of themselves how they are cut down to a sample
(`SourceSettings.sampled`), so that a rehearsal can't see what a run would not. Two things differ. Nobody asks what the
files from outside are, which would read all of them. And what is learned from data is not there yet: an image
tokenizer that is to be trained is stood in for by one whose every code is 0, a text tokenizer by one that learned from
the sample. One that was made with these settings before is taken instead.
"""

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.files import link_or_copy, point_link
from unix_lib.artefacts.manifest import MANIFEST, Manifest, read_manifest
from unix_lib.artefacts.recipe import RecipeError, recipe_of
from unix_lib.config.analyze import Inputs
from unix_lib.config.encode import EncodeExecution, EncodeSettings
from unix_lib.config.experiment import Experiment
from unix_lib.config.file_hashes import UNREADABLE, FileHashes
from unix_lib.config.folders import files_below
from unix_lib.config.inventory import Stamp
from unix_lib.config.jobs import Execution
from unix_lib.config.kinds import find_kind, imported
from unix_lib.config.outside import Outside
from unix_lib.config.pack import MixturePart
from unix_lib.config.sources import SourceKind, SourcePlanning, SourceSettings, shard_name
from unix_lib.config.strict import StrictModel
from unix_lib.config.tokenize import TokenizeSettings, tokens_name
from unix_lib.config.tokenizers import TokenizerKind, TokenizerSettings, VQGANShape
from unix_lib.encode.make import write_codes
from unix_lib.jobs.job import Job
from unix_lib.jobs.job_kinds import job_kind
from unix_lib.recipes.plan import Plan
from unix_lib.records.rejected import REJECTED_FILE
from unix_lib.records.schema import Row
from unix_lib.tokenizers.image import ImageTokenizer, load_image_tokenizer


@dataclass(frozen=True)
class ZeroCodes:
    """Stands for an image tokenizer that is not there yet: images get as many codes, all of them 0."""

    shape: VQGANShape

    @property
    def image_size(self) -> int:
        return self.shape.image_size

    @property
    def codebook_size(self) -> int:
        return self.shape.codebook_size

    @property
    def codes_per_image(self) -> int:
        return self.shape.codes_per_image

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(pixels), self.codes_per_image, dtype=torch.int64)


class Unhashed(FileHashes):
    """Takes files for what they are called: a sample of a large file is not worth reading all of it."""

    def __init__(self) -> None:
        super().__init__(None)

    def size_and_digest(self, path: str, stamp: Stamp | None) -> tuple[int, str]:
        if stamp is None or not os.access(path, os.R_OK):
            return 0, UNREADABLE
        return stamp[0], f"unhashed {path}"


@dataclass
class SampledSource:
    """What a source's jobs made of a sample; `errors` of parts that came to nothing."""

    name: str
    records: list[str] = field(default_factory=list)  # artefacts
    images: list[str] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@dataclass
class Rehearsal:
    """The jobs of an experiment on a sample of its sources, about `samples` of each.

    Attributes:
        results: where they are made.
        made: the experiment's own results, where tokenizers may be already.
    """

    experiment: Experiment
    results: Path
    made: Path
    samples: int

    def __post_init__(self) -> None:
        self._plan = Plan(self.experiment)
        self._sources: dict[str, SampledSource] = {}
        self.image_fault = ""  # why there is no image tokenizer where there should be one

    def source(self, name: str) -> SampledSource:
        """A source's records, images and codes; what goes wrong is in its `errors`."""
        if name not in self._sources:
            source = self._sources[name] = SampledSource(name)
            outside = Outside(Path.cwd(), Unhashed())
            for part, settings in enumerate(self.experiment.sources[name].sampled(self.samples, outside)):
                try:
                    self._make_part(source, settings, part)
                except UserError as error:
                    source.errors.append(str(error))
        return self._sources[name]

    def _make_part(self, source: SampledSource, settings: SourceSettings, part: int) -> None:
        kind = find_kind("source", settings.kind, SourceKind)
        planning = SourcePlanning(source.name, self.experiment.held_out)
        images: list[str] = []  # of the part
        for what, artefacts in (("images", source.images), ("records", source.records)):
            described = getattr(kind, what)
            if described is None:
                continue
            inputs: Inputs = {"images": images} if "images" in kind.reads.get(what, ()) else {}
            name = shard_name(source.name if what == "records" else f"{source.name}-{what}", part)
            of_job = settings.settings_of(described.settings, planning)
            artefacts.append(self._make("sources", name, f"{settings.kind}/{what}", of_job, inputs))
            images = source.images[-1:]
        tokenizer = self.experiment.tokenizers.image
        if images and tokenizer is not None:
            name, of_images = shard_name(source.name, part), images[0]
            job = self._job("encode", name, "codes", EncodeSettings(), {"images": of_images}, EncodeExecution())
            write_codes(job, [ZeroCodes(tokenizer.shape)])
            source.codes.append(job.recipe.artefact)

    @cached_property
    def text_tokenizer(self) -> str:
        """The text tokenizer: made before, loaded, or learned from the sample.

        Raises:
            UserError: it can't be loaded, or there is no text to learn from.
        """
        settings = self.experiment.tokenizers.text
        assert settings is not None
        if (folder := self.made_before("text")) is not None:
            taken = self.results / "tokenizers" / folder.name
            if not point_link(taken, folder.resolve()):
                for path in files_below(folder):
                    link_or_copy(path, taken / path.relative_to(folder))
            return f"tokenizers/{folder.name}"
        kind = find_kind("text tokenizer", settings.kind, TokenizerKind)
        records = [artefact for name in settings.trained_on() for artefact in self.source(name).records]
        inputs: Inputs = {"records": records} if records else {}
        return self._make("tokenizers", "text", f"text/{settings.kind}", settings.narrowed(kind.job.settings), inputs)

    @cached_property
    def vocabulary(self) -> str:
        """The vocabulary.

        Raises:
            UserError: text ids and image codes don't fit together.
        """
        inputs: Inputs = {"text_tokenizer": self.text_tokenizer}
        settings = self.experiment.tokenizers.vocabulary()
        return self._make("tokenizers", "vocabulary", "vocabulary", settings, inputs)

    def pack(self, mixture: str, part: MixturePart) -> str:
        """One source's part of a mixture, each record used once.

        Raises:
            UserError: none of its records can be packed.
        """
        source = self.source(part.source)
        inputs: Inputs = {"text_tokenizer": self.text_tokenizer, "vocabulary": self.vocabulary}
        inputs[f"tokens:{part.source}"] = self.tokens(mixture, part.source)
        if source.codes:
            inputs[f"codes:{part.source}"] = source.codes
        once = part.model_copy(update={"weight": 1.0, "tokens": None, "share": None})
        settings = self.experiment.pack_settings(mixture).model_copy(update={"parts": [once], "epochs": 1})
        return self._make("pack", f"{mixture}-{part.source}", "packs", settings, inputs)

    def tokens(self, mixture: str, source: str) -> list[str]:
        """The tokens of a source's records, as a mixture takes them."""
        made, template = [], self.experiment.mixtures[mixture].template
        for shard, records in enumerate(self.source(source).records):
            name = shard_name(tokens_name(source, template), shard)
            inputs: Inputs = {"records": records, "text_tokenizer": self.text_tokenizer}
            made.append(self._make("tokenize", name, "tokens", TokenizeSettings(template=template), inputs))
        return made

    @cached_property
    def image_tokenizer(self) -> ImageTokenizer | None:
        """The image tokenizer: made before, or loaded; None where it is to be trained, or for its `image_fault`."""
        try:
            return self._image_tokenizer()
        except UserError as error:
            self.image_fault = str(error)
            return None

    def _image_tokenizer(self) -> ImageTokenizer | None:
        settings = self.experiment.tokenizers.image
        device = "cuda" if torch.cuda.is_available() else "cpu"
        if settings is not None and (folder := self.made_before("image")) is not None:
            return load_image_tokenizer(folder, device)
        if settings is None or settings.trained_on():
            return None
        kind = find_kind("image tokenizer", settings.kind, TokenizerKind)
        artefact = self._make("tokenizers", "image", f"image/{settings.kind}", settings.narrowed(kind.job.settings), {})
        return load_image_tokenizer(self.results / artefact, device)

    def made_before(self, which: str) -> Path | None:
        """The newest text or image tokenizer in the experiment's own results that has the config's settings."""
        settings: TokenizerSettings | None = getattr(self.experiment.tokenizers, which)
        assert settings is not None
        kind = find_kind("text tokenizer" if which == "text" else "image tokenizer", settings.kind, TokenizerKind)
        wanted = settings.narrowed(kind.job.settings).semantic()
        found = []
        for manifest in self.made.glob(f"tokenizers/{which}-*/{MANIFEST}"):
            try:
                recipe = recipe_of(manifest.parent)
            except RecipeError:  # `unix-lib verify` tells of it
                continue
            own = {name: value for name, value in recipe.settings.items() if name != "identity"}
            if recipe.kind == f"{which}/{settings.kind}" and own == wanted:
                found.append(manifest)
        return max(found, key=lambda manifest: manifest.stat().st_mtime).parent if found else None

    def manifest(self, artefact: str) -> Manifest:
        return read_manifest(self.results / artefact)

    def rejected(self, artefacts: list[str]) -> list[Row]:
        """Rows of the tables of rejected samples."""
        return [row for a in artefacts for row in pq.read_table(self.results / a / REJECTED_FILE).to_pylist()]

    def _make(self, stage: str, name: str, kind: str, settings: StrictModel, inputs: Inputs) -> str:
        job = self._job(stage, name, kind, settings, inputs, job_kind(stage, kind).execution())
        if not (job.folder / MANIFEST).is_file():
            # The function itself: `Job.make` would ask first whether files from outside are those of a plan.
            imported(job_kind(stage, kind).make)(job)
        return job.recipe.artefact

    def _job(  # noqa: PLR0917
        self, stage: str, name: str, kind: str, settings: StrictModel, inputs: Inputs, execution: Execution
    ) -> Job[Any, Any]:
        artefact = self._plan.add(stage, name, kind, settings, inputs, execution)
        job = Job[Any, Any].of(self._plan.jobs[artefact].recipe, self.results, execution)
        job.outside = Outside(Path.cwd(), Unhashed())
        return job


@contextmanager
def rehearsal(experiment: Experiment, made: Path, samples: int) -> Iterator[Rehearsal]:
    """A rehearsal in a folder of its own; what its jobs would log is left out, since findings say it."""
    before = logging.root.manager.disable
    with tempfile.TemporaryDirectory(prefix="unix-lib-") as folder:
        logging.disable(logging.WARNING)
        try:
            yield Rehearsal(experiment, Path(folder) / experiment.experiment, made, samples)
        finally:
            logging.disable(before)
