"""The scorer `geneval`: images generated from GenEval's prompts, their objects found by a judge."""

from collections.abc import Mapping
from typing import Any, Literal

from unix_lib.benchmarks.settings import ImageSettings
from unix_lib.config.evaluate import Judged, JudgedBatches, JudgeSettings, ScorerKind, ScoringSettings
from unix_lib.config.generate import DecodingExecution, GenerateConfig
from unix_lib.config.kinds import JobKind
from unix_lib.config.prompts import PromptBenchmark, PromptFiles
from unix_lib.config.strict import key


class GenEvalScoring(Judged, PromptFiles, ScoringSettings):
    """How images are judged."""

    seed: int = key("seed of the prompts that images are held against as a control")

    @property
    def by_task(self) -> bool:
        return True


class CeilingSettings(Judged):
    """What a benchmark gives to perfect images, before and after the image tokenizer."""

    benchmark: str = key("name of the benchmark")
    bootstrap_samples: int = key("resamples behind a bootstrap interval")


class GenEvalBenchmark(PromptBenchmark):
    """Generated images that must show what a prompt asks for."""

    scorer: Literal["geneval"]

    def made(self) -> str:
        return "geneval"

    def scored_by(self, generate: GenerateConfig, judges: Mapping[str, JudgeSettings]) -> dict[str, Any]:
        return super().scored_by(generate, judges) | {"seed": generate.image_sampling.seed}


KIND = ScorerKind(
    settings=GenEvalBenchmark,
    family="generation",
    generate=JobKind(ImageSettings, "unix_lib.generate.benchmark_images:make_images", 2, DecodingExecution),
    score="unix_lib.evaluate.generation:score_geneval",
    scoring=GenEvalScoring,
    logic_version=3,
    layout="unix_lib.evaluate.layouts:write_geneval",
    asks_endpoints=True,
    ceiling=JobKind(CeilingSettings, "unix_lib.evaluate.ceiling:make_ceiling", 3, JudgedBatches),
)
