"""Damages a file of rows as disks, editors and transfers do: seeded, so that a damaged file can be made again."""

import random
import re
from collections.abc import Callable

LINE_END = re.compile(rb"\r\n|\r|\n")
ODD = (b"\0", b"\xff", b"\xe9", "\u2028".encode(), "\x85".encode(), b"\x0b", b"\x0c", b"\x1c", b"\r", b"\xef\xbb\xbf")
MARKS = (b'"', b"'", b"\t", b",", b"\n", b"{", b"}", b"[", b"]", b"\\", b":")


def physical_lines(data: bytes, blank: bytes | None = None) -> list[bytes]:
    """The lines of a file that are not blank, by its bytes alone; `blank` are bytes that a blank line may have."""
    return [line for line in LINE_END.split(data.removeprefix(b"\xef\xbb\xbf")) if line.strip(blank)]


def damaged(data: bytes, seed: str) -> bytes:
    """The file after one to four faults; never as it was."""
    rng = random.Random(seed)
    for _ in range(rng.choice((1, 1, 2, 4))):
        data = rng.choice(FAULTS)(data, rng)
    return data


def _truncated(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _flipped(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randint(1, 8) if data else 0):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _without_a_mark(data: bytes, rng: random.Random) -> bytes:
    mark = rng.choice(MARKS)
    places = [match.start() for match in re.finditer(re.escape(mark), data)]
    place = rng.choice(places) if places else len(data)
    return data[:place] + data[place + 1 :]


def _with_a_mark(data: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(data) + 1)
    return data[:place] + rng.choice(MARKS + ODD) * rng.choice((1, 1, 1, 2)) + data[place:]


def _with_open_quotes(data: bytes, rng: random.Random) -> bytes:
    """A quote at the start of a few fields, or at their end."""
    places = [match.start() for match in re.finditer(rb"[\t,\n]", data)]
    for place in sorted(rng.sample(places, min(len(places), rng.randint(1, 4))), reverse=True):
        quoted = place + rng.randint(0, 1)
        data = data[:quoted] + b'"' + data[quoted:]
    return data


def _without_a_piece(data: bytes, rng: random.Random) -> bytes:
    begin = rng.randrange(len(data) + 1)
    return data[:begin] + data[begin + rng.randint(1, 200) :]


def _other_line_ends(data: bytes, rng: random.Random) -> bytes:
    return data.replace(b"\n", rng.choice((b"\r", b"\r\n", b"\n\n", b"\n \n")))


def _with_a_mark_of_order(data: bytes, rng: random.Random) -> bytes:
    return b"\xef\xbb\xbf" + data


def _lines_moved(data: bytes, rng: random.Random) -> bytes:
    lines = data.split(b"\n")
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    change = rng.choice(("double", "drop", "swap", "join"))
    if change == "double":
        lines.insert(other, lines[one])
    elif change == "drop":
        del lines[one]
    elif change == "swap":
        lines[one], lines[other] = lines[other], lines[one]
    else:
        lines[one : one + 2] = [b"".join(lines[one : one + 2])]
    return b"\n".join(lines)


def _with_noise(data: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(data) + 1)
    return data[:place] + rng.randbytes(rng.randint(1, 60)) + data[place:]


FAULTS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _truncated,
    _flipped,
    _without_a_mark,
    _with_a_mark,
    _with_open_quotes,
    _without_a_piece,
    _other_line_ends,
    _with_a_mark_of_order,
    _lines_moved,
    _with_noise,
)
