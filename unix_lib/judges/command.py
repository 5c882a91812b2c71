"""The judge `command`: a program of your own, under whatever interpreter its packages need."""

import shutil
from pathlib import Path
from typing import Literal

from unix_lib.config.evaluate import JudgeKind, JudgeSettings
from unix_lib.config.needs import Need
from unix_lib.config.strict import key


class CommandJudge(JudgeSettings):
    """A program that is started once and reads and writes a line of JSON for each image."""

    kind: Literal["command"]
    command: list[str] = key("program and arguments, relative to the project's root", min_length=1)
    version: str = key("what you call this state of the program; a changed one judges anew", "")
    seconds: float = key("longest wait for one answer", 600.0, kind="operational", gt=0, le=604_800)

    def needs(self, name: str) -> list[Need]:
        """Its program, where that is not one of the machine's own."""
        program = self.command[0]
        if "/" not in program and shutil.which(program):
            return []
        return [Need(f"judge {name}: {program}", local=Path(program))]


KIND = JudgeKind(
    settings=CommandJudge,
    open="unix_lib.judges.command_runner:CommandRunner",
    logic_version=1,
    answers=("objects", "question"),
)
