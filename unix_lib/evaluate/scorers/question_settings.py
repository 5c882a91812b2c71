"""What the scorers of questions about images share: a TSV file in some layout, how it is asked and its answers read."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import field_validator

from unix_lib.benchmarks.settings import AnswerSettings, Layout
from unix_lib.config.evaluate import BenchmarkSettings, JudgeKind, JudgeSettings, ScorerKind, ScoringSettings
from unix_lib.config.generate import DecodingExecution, GenerateConfig
from unix_lib.config.kinds import JobKind, KindField, find_kind
from unix_lib.config.strict import ConfigError, Model, key

# `strict` is this project's own; `paper` is of the script published with it.
Protocol = Literal["strict", "paper", "vlmevalkit", "lmms-eval"]
PROTOCOLS = "by whose rules answers are read and added up, each from the same answers; figures show the first"


class QuestionScoring(ScoringSettings):
    """How answers are scored."""

    layout: Layout = key("TSV layout")
    protocols: list[Protocol] = key(PROTOCOLS, ["strict"], sparse=True)
    judge: Annotated[JudgeSettings, KindField("judge", JudgeKind)] | None = key(
        "what reads answers that rules can't", None, sparse=True
    )
    judge_version: int | None = key("logic version of the judge's kind", None, sparse=True)

    @property
    def by_task(self) -> bool:
        return self.layout == "seed" and self.protocols[0] in ("strict", "paper")


class QuestionBenchmark(BenchmarkSettings):
    """Questions about images in VLMEvalKit's layout."""

    layout: Layout = key("TSV layout")
    protocols: list[Protocol] = key(PROTOCOLS, ["strict"], sparse=True, min_length=1)
    judge: str | None = key(
        "a judge by its name under evaluate.judges that reads answers which rules can't", None, sparse=True
    )

    @field_validator("protocols")
    @classmethod
    def _each_once(cls, protocols: list[Protocol]) -> list[Protocol]:
        if len(set(protocols)) < len(protocols):
            raise ValueError("a protocol is named twice; name it once")
        return protocols

    def made(self) -> str:
        return self.layout

    def image_files(self) -> dict[str, str]:
        return {} if self.file is None else {self.file: self.layout}

    def reader(self) -> str | None:
        return self.judge

    def generation(self, model: type[Model], config: GenerateConfig) -> Model:
        asked = {"max_answer_tokens": config.max_answer_tokens, "question_suffix": config.question_suffix}
        return self.narrowed(model, **asked)

    def scored_by(self, generate: GenerateConfig, judges: Mapping[str, JudgeSettings]) -> dict[str, Any]:
        if self.judge is None:
            return super().scored_by(generate, judges)
        judge = judges[self.judge]
        kind = find_kind("judge", judge.kind, JudgeKind)
        if "words" not in kind.answers:
            raise ConfigError(
                f"evaluate.judges.{self.judge}: a judge of kind '{judge.kind}' reads no answers without their images; "
                "name one of kind endpoint"
            )
        return super().scored_by(generate, judges) | {"judge": judge, "judge_version": kind.logic_version}


def question_kind(settings: type[QuestionBenchmark]) -> ScorerKind:
    """A kind of scorer of questions about images."""
    return ScorerKind(
        settings=settings,
        family="understanding",
        generate=JobKind(AnswerSettings, "unix_lib.generate.answers:make_answers", 2, DecodingExecution),
        score="unix_lib.evaluate.questions:score_questions",
        scoring=QuestionScoring,
        logic_version=1,
        asks_endpoints=True,
    )
