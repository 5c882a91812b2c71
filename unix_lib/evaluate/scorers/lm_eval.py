"""The scorer `lm_eval`: text benchmarks, zero-shot, on a source's cloze questions or a task of lm-eval's registry."""

from typing import Literal

from unix_lib.benchmarks.settings import LikelihoodSettings
from unix_lib.config.evaluate import BenchmarkSettings, ScorerKind, ScoringSettings
from unix_lib.config.generate import DecodingExecution
from unix_lib.config.kinds import JobKind
from unix_lib.config.needs import Need
from unix_lib.config.strict import key


class LmEvalScoring(ScoringSettings):
    """How they are scored."""

    task: str | None = key("an lm-eval task by name", None)


class LmEvalBenchmark(BenchmarkSettings):
    """A text benchmark through lm-eval."""

    scorer: Literal["lm_eval"]
    task: str | None = key("an lm-eval task by name", None)

    def origins(self) -> dict[str, str | None]:
        return super().origins() | {"task": self.task}

    def made(self) -> str:
        return "cloze"

    def needs(self, name: str) -> list[Need]:
        if self.task is None:
            return super().needs(name)
        return [Need(f"benchmark {name}: data of lm-eval task {self.task}", task=self.task)]


KIND = ScorerKind(
    settings=LmEvalBenchmark,
    family="text",
    generate=JobKind(LikelihoodSettings, "unix_lib.generate.likelihoods:make_likelihoods", 1, DecodingExecution),
    score="unix_lib.evaluate.text:score_text",
    scoring=LmEvalScoring,
    logic_version=1,
    has_images=False,
)
