"""What a judge is: something that reads images and says what it sees. Whoever scores knows no more of it than this."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np

from unix_lib.artefacts.code import require_logic_version
from unix_lib.artefacts.errors import UserError
from unix_lib.config.evaluate import JudgeKind, JudgeSettings
from unix_lib.config.kinds import find_kind, imported
from unix_lib.config.outside import ReadsOutside
from unix_lib.config.walk import changed

Images = Sequence[np.ndarray] | np.ndarray  # each uint8 (height, width, 3), RGB
Colored = Sequence[Mapping[str, int]]
Question = TypeVar("Question")
Answer = TypeVar("Answer")


class JudgeError(UserError):
    """A judge that can't be asked, or whose answer can't be read."""


class NoVerdict(JudgeError):
    """A judge that gave no answer on one image which can be used; on the next one it may."""

    def __init__(self, reason: str, message: str) -> None:
        """`reason` is one of a few fixed ones, so that they can be counted."""
        super().__init__(message)
        self.reason = reason


class UnfitJudgeError(JudgeError):
    """A judge that misreads a picture whose objects are known, so its verdicts mean nothing."""


@dataclass(frozen=True)
class Detection:
    """One object in an image; box is left, top, right, bottom in pixels, right and bottom exclusive."""

    name: str  # its class: a shape, or what COCO calls it
    color: str  # empty where the judge doesn't say
    box: tuple[float, float, float, float]
    confidence: float  # 0..1
    size: str = ""  # empty where the judge doesn't say

    @property
    def centre(self) -> tuple[float, float]:
        """(x, y) in pixels."""
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2

    def __str__(self) -> str:
        x, y = self.centre
        words = " ".join(word for word in (self.size, self.color, self.name) if word)
        return f"{words} at ({x:g}, {y:g}), confidence {self.confidence:.2f}"


class ObjectFinder(Protocol):
    """A judge whose kind answers "objects"."""

    def objects(self, images: Images, colored: Colored | None = None) -> list[list[Detection]]:
        """The objects in each image, in no order.

        `colored` says of which of them a colour will be asked, of all without it: for each image classes, and how many
        of a class, the most confident ones. A judge may give the others none.
        """
        ...


class QuestionAnswerer(Protocol):
    """A judge whose kind answers "question"."""

    def answer(self, images: Images, questions: Sequence[str]) -> list[str]:
        """Its words on one question about each image."""
        ...


class WordsReader(Protocol):
    """A judge whose kind answers "words"."""

    at_once: int  # questions that it is asked together

    def reply(self, questions: Sequence[str]) -> list[str]:
        """Its words on each question, without an image."""
        ...


def answers_to(
    ask: Callable[[Sequence[Question]], Sequence[Answer]], some: Sequence[Question]
) -> Iterator[tuple[Question, Answer | NoVerdict]]:
    """Each question with its answer; asked one by one where one of them spoils the others' answers.

    Raises:
        JudgeError: what `ask` raises but for `NoVerdict`.
    """
    try:
        answers = ask(some)
    except NoVerdict as fault:
        if len(some) == 1:
            yield some[0], fault
        else:
            for one in some:
                yield from answers_to(ask, [one])
    else:
        yield from zip(some, answers, strict=True)


def open_judge(settings: JudgeSettings, version: int, image_size: int, configured: Mapping[str, JudgeSettings]) -> Any:
    """The judge with these settings.

    Args:
        settings: from a recipe, so without what changes no verdict, such as a time limit.
        version: logic version of its kind that the recipe was planned with.
        configured: the judges of the config, where those keys stand.

    Raises:
        JudgeError: it can't be opened. CodeError: its kind has another logic version.
    """
    kind = find_kind("judge", settings.kind, JudgeKind)
    require_logic_version(f"judge '{settings.kind}'", version, kind.logic_version)
    return imported(kind.open)(as_configured(settings, configured), image_size)


def as_configured(settings: JudgeSettings, configured: Mapping[str, JudgeSettings]) -> JudgeSettings:
    """A recipe's judge with what changes no verdict, such as how many images it is shown together."""
    same = (each for each in configured.values() if _asked_for(each) == _asked_for(settings))
    return next(same, settings)


def _asked_for(settings: JudgeSettings) -> dict[str, Any]:
    """What a config says of a judge that changes verdicts: without what the plan found out about its files."""
    return changed(settings, lambda model: {"identity": None} if isinstance(model, ReadsOutside) else {}).semantic()
