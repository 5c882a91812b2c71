"""The scorer `yes_no`: questions about images answered by yes or no, in the layouts of POPE and MME."""

from typing import Literal

from unix_lib.config.strict import key
from unix_lib.evaluate.scorers.question_settings import QuestionBenchmark, question_kind


class YesNoBenchmark(QuestionBenchmark):
    """Questions about images answered by yes or no."""

    scorer: Literal["yes_no"]
    layout: Literal["pope", "mme"] = key("TSV layout")


KIND = question_kind(YesNoBenchmark)
