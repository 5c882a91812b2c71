"""The whole config of an experiment. Every stage after `sources` may be left out; `consistency` checks across them."""

from typing import Annotated, Literal

from unix_lib.config.analyze import AnalyzeConfig
from unix_lib.config.encode import EncodeConfig
from unix_lib.config.evaluate import BenchmarkSettings, EvaluateConfig
from unix_lib.config.fetch import FetchConfig
from unix_lib.config.figures import FiguresConfig
from unix_lib.config.generate import GenerateConfig, Wording
from unix_lib.config.jobs import JobShape
from unix_lib.config.kinds import KindField, find_kind
from unix_lib.config.models import DecoderShape, RunStart
from unix_lib.config.outside import Outside
from unix_lib.config.pack import Mixture, PackConfig, PackSettings
from unix_lib.config.report import ReportConfig
from unix_lib.config.sources import HeldOut, SourceKind, SourceSettings
from unix_lib.config.strict import StrictModel, key
from unix_lib.config.tokenize import TokenizeConfig
from unix_lib.config.tokenizers import TokenizersConfig
from unix_lib.config.train import Run, TrainConfig
from unix_lib.config.translate import TranslateConfig, Translation


class Experiment(StrictModel):
    """One experiment: everything the DAG makes below `results/<experiment>/`."""

    experiment: str = key("name of the experiment and of its results folder", kind="operational")
    sources: dict[str, Annotated[SourceSettings, KindField("source", SourceKind)]] = key(
        "sources by name", min_length=1
    )
    held_out: HeldOut = key("what every source holds out", HeldOut())
    stores: list[str] = key(
        "folders of experiments, relative to the project's root or absolute, whose artefacts of the same recipe are "
        "linked instead of made again; nothing is written there; empty makes all anew",
        ["results"],
        kind="operational",
    )
    versioned_models: Literal["final", "all"] = key(
        "models of checkpoints that DVC keeps: each run's last one, or all; training states are never kept",
        "final",
        kind="operational",
    )
    most_shards: int = key("most parts that a job of a source is cut into", 100, kind="operational", ge=1, le=10_000)
    sources_job: JobShape = key("shape of a source job", JobShape(runtime_minutes=120), kind="operational")
    translate: TranslateConfig = key("sources in other languages", TranslateConfig())
    tokenizers: TokenizersConfig = key("tokenizers", TokenizersConfig())
    encode: EncodeConfig = key("image encoding", EncodeConfig())
    tokenize: TokenizeConfig = key("texts to tokens", TokenizeConfig())
    pack: PackConfig | None = key("packs of tokens", None)
    train: TrainConfig | None = key("training runs", None)
    generate: GenerateConfig = key("answers of checkpoints to benchmarks", GenerateConfig())
    evaluate: EvaluateConfig | None = key("benchmarks and their scores", None)
    analyze: AnalyzeConfig = key("analyses", AnalyzeConfig())
    figures: FiguresConfig = key("figures and tables", FiguresConfig())
    report: ReportConfig | None = key("the one-page summary", None)
    fetch: FetchConfig = key("what `unix-lib fetch` downloads", FetchConfig(), kind="operational")

    @property
    def translations(self) -> dict[str, Translation]:
        """Translations by name."""
        return self.translate.translations

    def origin_of(self, source: str) -> str:
        """The source that a translation is of; of a source itself."""
        return self.translations[source].source if source in self.translations else source

    def benchmarks_of(self, source: str) -> tuple[str, ...]:
        """The benchmarks that a source or a translation makes."""
        if source in self.translations:
            return tuple(self.translations[source].benchmarks)
        return self.sources[source].benchmarks()

    @property
    def mixtures(self) -> dict[str, Mixture]:
        """Mixtures by name."""
        return self.pack.mixtures if self.pack else {}

    @property
    def runs(self) -> dict[str, Run]:
        """Training runs by name."""
        return self.train.runs if self.train else {}

    @property
    def benchmarks(self) -> dict[str, BenchmarkSettings]:
        """Benchmarks by name."""
        return self.evaluate.benchmarks if self.evaluate else {}

    def pack_settings(self, mixture: str) -> PackSettings:
        """What the packs of a mixture depend on."""
        assert self.pack is not None
        own, image = self.pack.mixtures[mixture], self.tokenizers.image
        size = image.shape.image_size if image is not None and own.image_size_prefix else None
        return own.narrowed(PackSettings, pack_length=self.pack.length, seed=self.pack.seed, image_size=size)

    def wording_of(self, run: str) -> Wording:
        """How prompts are put to a run."""
        settings = self.pack_settings(self.runs[run].mixture)
        language = settings.instruction_languages[0]
        return Wording(template=settings.template, language=language, image_size=settings.image_size)

    def shape_of(self, run_name: str) -> DecoderShape:
        """Decoder shape of a run, followed through the runs it starts from.

        Raises:
            ValueError: runs start from each other in a circle.
        """
        start = self.runs[run_name].start
        seen = {run_name}
        while isinstance(start, RunStart):
            if start.run in seen:
                raise ValueError(f"train.runs.{run_name}.start: runs start from each other in a circle")
            seen.add(start.run)
            start = self.runs[start.run].start
        return start.shape

    def notices(self, outside: Outside) -> list[str]:
        """What must be known before the experiment starts, a line each."""
        lines = [line for name, source in self.sources.items() for line in source.notices(name, outside)]
        if self.train is not None and (fault := self.train.tracking.fault()):
            lines.append(f"Training will be refused: {fault}")
        packed = {part.source for mixture in self.mixtures.values() for part in mixture.parts}
        lines += self.tokenizers.notices([name for name in self.sources if name in packed])
        images, captions = self.sources_with_images(), self.sources_with_captions()
        compared = {self.runs[run].mixture for run in self.compared_runs()}
        for name, mixture in self.mixtures.items():
            if name in compared or not self.runs:  # a run that others start from may well learn text only
                lines += mixture.notices(name, images, captions)
        return lines

    @property
    def with_records(self) -> list[str]:
        """What has records: sources, and translations of theirs."""
        return [*self.sources, *(name for name, translation in self.translations.items() if translation.records)]

    def sources_with_images(self) -> list[str]:
        """Sources of a kind that has images."""
        kinds = {name: find_kind("source", source.kind, SourceKind) for name, source in self.sources.items()}
        return [name for name, kind in kinds.items() if kind.images is not None]

    def sources_with_captions(self) -> list[str]:
        """Of those the ones whose images may have captions."""
        return [name for name in self.sources_with_images() if self.sources[name].has_captions()]

    def compared_runs(self) -> list[str]:
        """Runs whose architectures are compared, in the order of the config."""
        return [name for name, run in self.runs.items() if run.compare]
