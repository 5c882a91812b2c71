"""Asks a program of the user's: started once, a line of JSON in and a line of JSON out for each image."""

import contextlib
import json
import subprocess
import tempfile
import threading
import weakref
from collections.abc import Sequence
from queue import Empty, Queue
from typing import IO, Any

from unix_lib.judges.command import CommandJudge
from unix_lib.judges.judge import Colored, Detection, Images, JudgeError, NoVerdict
from unix_lib.judges.messages import answer_from, objects_from, reply_in, request_of, unreadable

LONGEST_COMPLAINT = 500  # characters of the program's standard error in a message
SECONDS_TO_END = 5.0


class CommandRunner:
    """A program that runs while it is asked; it ends with this object, when its input does.

    One that ended, fell silent or said too much is ended and started again for the next image.
    """

    def __init__(self, settings: CommandJudge, image_size: int) -> None:
        """Start it.

        Raises:
            JudgeError: it can't be started.
        """
        self.name = f"judge command {settings.command[0]}"
        self.seconds = settings.seconds
        self.command = settings.command
        self._start()

    def _start(self) -> None:
        # A pipe that nobody reads would fill up and stop the program; the file lives as long as this object.
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            self._process = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._complaints
            )
        except OSError as error:
            raise JudgeError(f"{self.name}: can't be started ({error.strerror}); correct 'command'") from None
        assert self._process.stdin is not None and self._process.stdout is not None
        self._input = self._process.stdin
        self._lines: Queue[bytes] = Queue()
        threading.Thread(target=_read_lines, args=(self._process.stdout, self._lines), daemon=True).start()
        self._ending = weakref.finalize(self, _end, self._process)
        self._usable = True

    def objects(self, images: Images, colored: Colored | None = None) -> list[list[Detection]]:
        """See `ObjectFinder`.

        Raises:
            NoVerdict: the program ended, took too long, or answered something else or more than it was asked.
            JudgeError: it can't be started again.
        """
        return [objects_from(self._ask(request_of(image)), self.name) for image in images]

    def answer(self, images: Images, questions: Sequence[str]) -> list[str]:
        """See `QuestionAnswerer`; raises what `objects` does."""
        return [
            answer_from(self._ask(request_of(image, question)), self.name)
            for image, question in zip(images, questions, strict=True)
        ]

    def _ask(self, request: dict[str, Any]) -> Any:
        if not self._usable:
            self._ending()
            self._start()
        self._usable = False  # until it has answered this, with one line
        if not self._lines.empty():  # a line more than was asked for would be taken for the answer to this
            left = self._lines.get().decode(errors="replace")
            raise unreadable(self.name, left.strip(), "nothing before it is asked") if left else self._ended()
        try:
            self._input.write(json.dumps(request).encode() + b"\n")
            self._input.flush()
            line = self._lines.get(timeout=self.seconds)
        except OSError:
            raise self._ended() from None
        except Empty:
            self._process.kill()  # a late answer would be taken for the next one's
            late = f"{self.name}: no answer within {self.seconds:g} s; raise 'seconds', or look at the program"
            raise NoVerdict("no answer in time", late) from None
        if not line:
            raise self._ended()
        reply = reply_in(line, self.name, "a line of JSON")
        self._usable = True
        return reply

    def _ended(self) -> NoVerdict:
        try:
            code: int | None = self._process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            code = None
        self._complaints.seek(0)
        said = self._complaints.read().decode(errors="replace").strip()[-LONGEST_COMPLAINT:]
        how = "closed its output" if code is None else f"ended with exit code {code}"
        return NoVerdict("the judge ended", f"{self.name}: {how} before it had answered; it said: {said or 'nothing'}")


def _read_lines(output: IO[bytes], lines: "Queue[bytes]") -> None:
    """Put each line into the queue, and an empty one at the end."""
    for line in output:
        lines.put(line)
    output.close()
    lines.put(b"")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Close the program's input, which tells it that nothing more comes; one that stays is killed."""
    assert process.stdin is not None
    with contextlib.suppress(OSError):  # it had gone before reading all of it
        process.stdin.close()
    try:
        process.wait(SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
