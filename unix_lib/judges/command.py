"""The judge `command`: a program of your own, under whatever interpreter its packages need."""

import shutil
from pathlib import Path
from typing import Literal

from unix_lib.config.evaluate import Confidences, JudgeKind
from unix_lib.config.folders import is_regular
from unix_lib.config.needs import Need
from unix_lib.config.outside import FilesIdentity, Outside, ReadsOutside
from unix_lib.config.strict import key


class CommandJudge(ReadsOutside, Confidences):
    """A program that is started once, and again where it ended, and reads and writes a line of JSON for each image.

    Files that its command names, such as a script or weights, are part of the recipe of what it judges; a program of
    the machine's own, such as an interpreter, is not.
    """

    kind: Literal["command"]
    command: list[str] = key("program and arguments, relative to the project's root", min_length=1)
    version: str = key("what you call this state of the program; a changed one judges anew", "")
    seconds: float = key("longest wait for one answer", 600.0, kind="operational", gt=0, le=604_800)

    named_by = "command"
    at_once = 1

    def model_name(self) -> str:
        return self.version

    def identify(self, outside: Outside) -> FilesIdentity | None:
        files = [Path(word) for word in self.command if is_regular(outside.root / word)]
        if files and files[0] == Path(self.command[0]) and not _lies_in(outside.root / files[0], outside.root):
            del files[0]
        return outside.files(files) if files else None

    def needs(self, name: str) -> list[Need]:
        """Its program, where that is not one of the machine's own."""
        program = self.command[0]
        if "/" not in program and shutil.which(program):
            return []
        return [Need(f"judge {name}: {program}", local=Path(program))]


def _lies_in(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


KIND = JudgeKind(
    settings=CommandJudge,
    open="unix_lib.judges.command_runner:CommandRunner",
    logic_version=1,
    answers=("objects", "question"),
)
