"""The whole config of an experiment, and the checks that span its stages."""

import difflib
import re
from collections.abc import Iterable

from pydantic import model_validator

from unix_lib.config.analyze import AnalyzeConfig
from unix_lib.config.encode import EncodeConfig
from unix_lib.config.evaluate import EvaluateConfig
from unix_lib.config.fetch import FetchConfig
from unix_lib.config.figures import FiguresConfig
from unix_lib.config.jobs import JobShape
from unix_lib.config.models import CustomPlan, DecoderShape, MoEPlan, RunStart, UnixPlan, UnixSharedFfnPlan
from unix_lib.config.pack import PackConfig
from unix_lib.config.report import ReportConfig
from unix_lib.config.sources import SourceConfig
from unix_lib.config.strict import StrictModel, key
from unix_lib.config.tokenizers import TokenizersConfig, TrainedImageTokenizer, TrainedTextTokenizer
from unix_lib.config.train import TrainConfig

NAME = re.compile(r"[a-z0-9][a-z0-9._]*(-[a-z0-9._]+)*")
SPECIAL_TOKENS_PER_IMAGE = 2  # <|vision_start|> and <|vision_end|>


class Experiment(StrictModel):
    """One experiment: everything the DAG makes below `results/<experiment>/`."""

    experiment: str = key("name of the experiment and of its results folder", kind="operational")
    sources: dict[str, SourceConfig] = key("sources by name", min_length=1)
    sources_job: JobShape = key("shape of a source job", JobShape(runtime_minutes=120), kind="operational")
    tokenizers: TokenizersConfig
    encode: EncodeConfig = key("image encoding", EncodeConfig())
    pack: PackConfig
    train: TrainConfig
    evaluate: EvaluateConfig
    analyze: AnalyzeConfig
    figures: FiguresConfig = key("figures and tables", FiguresConfig())
    report: ReportConfig
    fetch: FetchConfig = key("what `python -m unix_lib fetch` downloads", FetchConfig(), kind="operational")

    @model_validator(mode="after")
    def _consistent(self) -> "Experiment":
        self._names_are_paths()
        self._references_resolve()
        self._images_fit()
        self._plans_fit()
        self._conflict_has_checkpoints()
        self._benchmarks_are_made()
        self._prompts_fit()
        self._jobs_use_what_they_ask_for()
        return self

    def shape_of(self, run_name: str) -> DecoderShape:
        """Decoder shape of a run, followed through the runs it starts from."""
        start = self.train.runs[run_name].start
        seen = {run_name}
        while isinstance(start, RunStart):
            if start.run in seen:
                raise ValueError(f"train.runs.{run_name}.start: runs start from each other in a circle")
            seen.add(start.run)
            start = self.train.runs[start.run].start
        return start.shape

    def compared_runs(self) -> list[str]:
        """Runs whose architectures are compared, in the order of the config."""
        return [name for name, run in self.train.runs.items() if run.compare]

    def _names_are_paths(self) -> None:
        named: dict[str, Iterable[str]] = {
            "experiment": [self.experiment],
            "sources": self.sources,
            "pack.mixtures": self.pack.mixtures,
            "train.runs": self.train.runs,
            "evaluate.groups": self.evaluate.groups,
            "evaluate.benchmarks": self.evaluate.benchmarks,
        }
        for where, names in named.items():
            for name in names:
                if not NAME.fullmatch(name):
                    raise ValueError(f"{where}: '{name}' can't be a folder name; use a-z, 0-9, '.', '_' and single '-'")

    def _references_resolve(self) -> None:
        sources, mixtures, runs = list(self.sources), list(self.pack.mixtures), list(self.train.runs)
        for kind, tokenizer in (("text", self.tokenizers.text), ("image", self.tokenizers.image)):
            if isinstance(tokenizer, TrainedTextTokenizer | TrainedImageTokenizer):
                for name in tokenizer.sources:
                    _known(name, sources, f"tokenizers.{kind}.sources", "source")
        for mixture_name, mixture in self.pack.mixtures.items():
            for part in mixture.parts:
                _known(part.source, sources, f"pack.mixtures.{mixture_name}.parts", "source")
        for run_name, run in self.train.runs.items():
            _known(run.mixture, mixtures, f"train.runs.{run_name}.mixture", "mixture")
            if isinstance(run.start, RunStart):
                _known(run.start.run, runs, f"train.runs.{run_name}.start.run", "run")
        for benchmark_name, benchmark in self.evaluate.benchmarks.items():
            if benchmark.source is not None:
                _known(benchmark.source, sources, f"evaluate.benchmarks.{benchmark_name}.source", "source")
        _known(self.analyze.conflict.mixture, mixtures, "analyze.conflict.mixture", "mixture")
        for name in self.analyze.conflict.runs:
            _known(name, runs, "analyze.conflict.runs", "run")
        for name in self.analyze.entropy.sources:
            _known(name, sources, "analyze.entropy.sources", "source")

    def _images_fit(self) -> None:
        shape = self.tokenizers.image.shape
        needed = self._codes_and_separators() + SPECIAL_TOKENS_PER_IMAGE
        if any(has_images(source) for source in self.sources.values()) and self.pack.length <= needed:
            raise ValueError(
                f"pack.length {self.pack.length} is too short for an image of {shape.codes_per_image} codes, its "
                f"separators and its two markers; set it above {needed}"
            )
        for name, source in self.sources.items():
            if has_images(source) and source.image_size != shape.image_size:  # type: ignore[union-attr]
                raise ValueError(
                    f"sources.{name}.image_size is {source.image_size}, tokenizers.image.shape.image_size is "  # type: ignore[union-attr]
                    f"{shape.image_size}; give both the same value"
                )

    def _codes_and_separators(self) -> int:
        codes, every = self.tokenizers.image.shape.codes_per_image, self.tokenizers.image_separator_every
        return codes + (0 if every is None else codes // every)

    def _plans_fit(self) -> None:
        for name, run in self.train.runs.items():
            layers = self.shape_of(name).layers
            if isinstance(run.plan, UnixPlan | UnixSharedFfnPlan) and run.plan.first + run.plan.last >= layers:
                raise ValueError(
                    f"train.runs.{name}.plan: N + M = {run.plan.first} + {run.plan.last} leaves no shared layer of "
                    f"{layers}; lower first or last"
                )
            if isinstance(run.plan, MoEPlan) and run.plan.every > layers:
                raise ValueError(
                    f"train.runs.{name}.plan.every {run.plan.every} leaves no layer of {layers} with a vision expert; "
                    f"set it to at most {layers}"
                )
            if isinstance(run.plan, CustomPlan) and len(run.plan.table) != layers:
                raise ValueError(f"train.runs.{name}.plan.table has {len(run.plan.table)} rows for {layers} layers")

    def _conflict_has_checkpoints(self) -> None:
        for name in self.analyze.conflict.runs or self.compared_runs():
            checkpoints = self.train.runs[name].checkpoints
            for step in self.analyze.conflict.steps:
                if step not in checkpoints:
                    raise ValueError(
                        f"analyze.conflict.steps: {step} is no checkpoint of run '{name}', which has {checkpoints}; "
                        "add it there or take it out here"
                    )

    def _benchmarks_are_made(self) -> None:
        for name, benchmark in self.evaluate.benchmarks.items():
            if benchmark.source is None:
                continue
            wanted = benchmark.layout or ("cloze" if benchmark.scorer == "lm_eval" else "geneval")
            if wanted not in _benchmarks_of(self.sources[benchmark.source]):
                remedy = {
                    "cloze": "name a source of kind text with cloze_questions above 0",
                    "seed": "no kind of source does, so give 'file'",
                }.get(wanted, "name a source of kind shapes")
                raise ValueError(
                    f"evaluate.benchmarks.{name}.source: '{benchmark.source}' makes no {wanted} benchmark; {remedy}"
                )

    def _prompts_fit(self) -> None:
        """Training takes documents of any length; caches for generation are made for `max_positions`."""
        if all(benchmark.scorer != "geneval" for benchmark in self.evaluate.benchmarks.values()):
            return
        for name in self.compared_runs():
            positions = self.shape_of(name).max_positions
            if positions <= self._codes_and_separators():
                raise ValueError(
                    f"train.runs.{name}: max_positions {positions} leaves no room for a prompt before the "
                    f"{self._codes_and_separators()} codes and separators of an image that a geneval benchmark "
                    "generates; raise max_positions"
                )

    def _jobs_use_what_they_ask_for(self) -> None:
        """Else a cluster would hold GPUs and nodes that stand idle."""
        on_cpu = {
            "sources_job": self.sources_job,
            "tokenizers.job": self.tokenizers.job,
            "pack.job": self.pack.job,
            "figures.job": self.figures.job,
        }
        on_one_node = on_cpu | {
            "encode.job": self.encode.job,
            "evaluate.job": self.evaluate.job,
            "analyze.job": self.analyze.job,
        }
        for where, shape in on_cpu.items():
            if shape.gpus:
                raise ValueError(f"{where}.gpus is {shape.gpus}, and these jobs work on the CPU; set it to 0")
        for where, shape in on_one_node.items():
            if shape.nodes > 1:
                raise ValueError(f"{where}.nodes is {shape.nodes}, and only training uses several; set it to 1")


def has_images(source: SourceConfig) -> bool:
    """Whether a source yields images."""
    return source.kind != "text"


def _benchmarks_of(source: SourceConfig) -> tuple[str, ...]:
    """Names of the benchmark files that a source makes."""
    if source.kind == "shapes":
        return ("geneval", "pope", "mme", "mmbench")
    return ("cloze",) if source.kind == "text" and source.cloze_questions else ()


def _known(name: str, known: list[str], where: str, what: str) -> None:
    if name not in known:
        nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        hint = f"did you mean '{nearest[0]}'?" if nearest else f"known: {', '.join(known)}"
        raise ValueError(f"{where}: unknown {what} '{name}'; {hint}")
