"""Protocols of questions about images: how an answer is read, and what is added up of what was read, by layout."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from unix_lib.benchmarks.settings import Layout
from unix_lib.evaluate import readers, tool_scores
from unix_lib.evaluate.answers import parse_option, parse_yes_no
from unix_lib.evaluate.question_scores import mme_scores, multiple_choice_scores, pope_scores, seed_scores
from unix_lib.evaluate.scorers.question_settings import Protocol
from unix_lib.evaluate.tables import Score
from unix_lib.evaluate.tool_scores import Asked

Read = Callable[[str, Mapping[str, str]], str | None]  # from an answer and the options to yes, no, a letter or nothing
Scores = Callable[[Asked, float, int], list[Score]]  # from answers, chance and number of resamples


@dataclass(frozen=True)
class Rules:
    """A protocol's rules for one layout; `judged` where it gives a judge what it can't read."""

    read: Read
    scores: Scores
    judged: bool = True


def _strict_yes_no(text: str, options: Mapping[str, str]) -> str | None:
    return parse_yes_no(text)


RULES: dict[Protocol, dict[Layout, Rules]] = {
    "strict": {
        "pope": Rules(_strict_yes_no, pope_scores),
        "mme": Rules(_strict_yes_no, mme_scores),
        "mmbench": Rules(parse_option, multiple_choice_scores),
        "seed": Rules(parse_option, seed_scores),
    },
    "paper": {
        "pope": Rules(readers.paper_yes_no, tool_scores.paper_pope, judged=False),
        "mme": Rules(readers.paper_yes_no, tool_scores.paper_mme, judged=False),
        "mmbench": Rules(readers.paper_option, multiple_choice_scores, judged=False),
        "seed": Rules(readers.paper_option, seed_scores, judged=False),
    },
    "vlmevalkit": {
        "pope": Rules(readers.vlmevalkit_yes_no, tool_scores.vlmevalkit_pope),
        "mme": Rules(readers.vlmevalkit_yes_no, tool_scores.tool_mme),
        "mmbench": Rules(readers.vlmevalkit_option, tool_scores.tool_mmbench),
        "seed": Rules(readers.vlmevalkit_option, multiple_choice_scores),
    },
    "lmms-eval": {
        "pope": Rules(readers.lmms_eval_pope, tool_scores.lmms_eval_pope, judged=False),
        "mme": Rules(readers.lmms_eval_mme, tool_scores.tool_mme, judged=False),
        "mmbench": Rules(readers.lmms_eval_mmbench, tool_scores.tool_mmbench),
        "seed": Rules(readers.lmms_eval_seed, multiple_choice_scores, judged=False),
    },
}
