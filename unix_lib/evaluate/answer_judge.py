"""Asks a judge what an answer means that rules can't read; what it says is kept, so that nothing is asked twice."""

import logging
from collections.abc import Sequence

from unix_lib.artefacts.files import digest_of
from unix_lib.benchmarks.question_files import Question
from unix_lib.evaluate.benchmark import Answers
from unix_lib.evaluate.scorers.question_settings import QuestionScoring
from unix_lib.judges.inquiry import MOST_WITHOUT
from unix_lib.judges.judge import NoVerdict, WordsReader, answers_to, open_judge
from unix_lib.records.questions import choice_prompt
from unix_lib.translate.answers import Answers as Kept
from unix_lib.translate.asking import COMPLETE, Answer

log = logging.getLogger(__name__)

YES_NO_TASK = "Does the answer mean yes or no? Reply with one word: yes, no, or unknown where it means neither."
CHOICE_TASK = "Which option does the answer mean? Reply with its letter alone, or with Z where it means none of them."


def judge_question(question: Question, text: str) -> str:
    """What a judge is asked about an answer: it sees words, not the image."""
    asked = choice_prompt(question.text, question.options)
    task = CHOICE_TASK if question.options else YES_NO_TASK
    return f"A question about an image:\n{asked}\n\nAn answer to it:\n{text}\n\n{task}"


def judged(answers: Answers[QuestionScoring], unread: Sequence[tuple[Question, str]]) -> dict[str, str]:
    """What the benchmark's judge says of questions with answers, by the questions' indices.

    Where it gives no words that can be used, they are empty, and not kept: another run asks again.

    Raises:
        JudgeError: it can't be reached, or gives no words too often; what it has said so far is kept.
    """
    settings = answers.settings
    assert settings.judge is not None and settings.judge_version is not None
    of_judge = {"judge": settings.judge.semantic(), "version": settings.judge_version}
    asked = {question.index: judge_question(question, text) for question, text in unread}
    keys = {words: digest_of(of_judge | {"question": words}) for words in asked.values()}
    with Kept(answers.kept, answers.folder.name) as kept:
        missing = [words for words, key in keys.items() if kept.get(key) is None]
        if missing:
            reader: WordsReader = open_judge(settings.judge, settings.judge_version, 0, answers.judges)
            most = MOST_WITHOUT * len(unread)
            for begin in range(0, len(missing), reader.at_once):
                for words, reply in answers_to(reader.reply, missing[begin : begin + reader.at_once]):
                    if isinstance(reply, NoVerdict):
                        log.warning("no words on an answer: %s (%s)", reply.reason, reply)
                        if most < 1:
                            raise reply
                        most -= 1
                    else:
                        kept.add(keys[words], Answer(reply, COMPLETE))
        log.info("%s: %d unread answers judged, %d of them anew", answers.name, len(unread), kept.added)
        said = {words: known.text or "" for words, key in keys.items() if (known := kept.get(key)) is not None}
    return {index: said.get(words, "") for index, words in asked.items()}
