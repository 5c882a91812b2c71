"""The scorer `multiple_choice`: questions about images with options, in the layouts of MMBench and SEED-Bench."""

from typing import Literal

from unix_lib.config.strict import key
from unix_lib.evaluate.scorers.question_settings import QuestionBenchmark, question_kind


class MultipleChoiceBenchmark(QuestionBenchmark):
    """Questions about images answered by the letter of an option."""

    scorer: Literal["multiple_choice"]
    layout: Literal["mmbench", "seed"] = key("TSV layout")


KIND = question_kind(MultipleChoiceBenchmark)
