"""A judge of a module of its own for tests: the first pixel says what it sees, and a file counts what it is asked."""

from pathlib import Path
from typing import Any

from unix_lib.config.evaluate import Confidences, JudgeKind
from unix_lib.config.strict import key
from unix_lib.judges.judge import Colored, Detection, Images, JudgeError, NoVerdict

DOG, TWO_DOGS, NOTHING, NONSENSE, DOWN = 1, 2, 3, 250, 251


class CountingJudge(Confidences):
    """What it is asked goes to `log`, a line an image; `down_after` images it is down, `healthy` never."""

    log: str = key("file", "", kind="operational")
    down_after: int = key("images", 10**6, kind="operational")
    healthy: bool = key("sees in everything a dog", False, kind="operational")


KIND = JudgeKind(settings=CountingJudge, open=f"{__name__}:open_counting_judge", logic_version=1, answers=("objects",))


def open_counting_judge(settings: CountingJudge, image_size: int) -> Any:
    class Judge:
        def objects(self, images: Images, colored: Colored | None = None) -> list[list[Detection]]:
            return [self.one(int(image[0, 0, 0])) for image in images]

        def one(self, value: int) -> list[Detection]:
            if (value == DOWN or asked(Path(settings.log)) >= settings.down_after) and not settings.healthy:
                raise JudgeError("judge: can't be reached; run again when it is there")
            with open(settings.log, "a", encoding="utf-8") as file:
                file.write(f"{value}\n")
            if settings.healthy:
                value = DOG
            if value == NONSENSE:
                raise NoVerdict("unreadable answer", "judge: answered 'bananas'")
            sure = [0.95] * (value == DOG) + [0.95, 0.5] * (value == TWO_DOGS)
            return [Detection("dog", "red", (0.0, 0.0, 8.0, 8.0), confidence) for confidence in sure]

    return Judge()


def asked(log: Path) -> int:
    """Images that it was asked about."""
    return len(log.read_text(encoding="utf-8").splitlines()) if log.exists() else 0
