"""What the scorers of questions about images share: a TSV file in some layout, and how it is asked."""

from unix_lib.benchmarks.settings import AnswerSettings, Layout
from unix_lib.config.evaluate import BenchmarkSettings, ScorerKind, ScoringSettings
from unix_lib.config.generate import DecodingExecution, GenerateConfig
from unix_lib.config.kinds import JobKind
from unix_lib.config.strict import Model, key


class QuestionScoring(ScoringSettings):
    """How answers are scored."""

    layout: Layout = key("TSV layout")

    @property
    def by_task(self) -> bool:
        return self.layout == "seed"


class QuestionBenchmark(BenchmarkSettings):
    """Questions about images in VLMEvalKit's layout."""

    layout: Layout = key("TSV layout")

    def made(self) -> str:
        return self.layout

    def image_files(self) -> dict[str, str]:
        return {} if self.file is None else {self.file: self.layout}

    def generation(self, model: type[Model], config: GenerateConfig) -> Model:
        asked = {"max_answer_tokens": config.max_answer_tokens, "question_suffix": config.question_suffix}
        return self.narrowed(model, **asked)


def question_kind(settings: type[QuestionBenchmark]) -> ScorerKind:
    """A kind of scorer of questions about images."""
    return ScorerKind(
        settings=settings,
        family="understanding",
        generate=JobKind(AnswerSettings, "unix_lib.generate.answers:make_answers", 1, DecodingExecution),
        score="unix_lib.evaluate.questions:score_questions",
        scoring=QuestionScoring,
        logic_version=1,
    )
