"""Files that a user brings from outside: part of the recipe of whatever reads them, and checked when they are read.

A job's settings that name such files are `ReadsOutside`. The plan fills in what the files are; whoever makes the job's
artefact has them checked before the first and after the last of them is read, so that no kind can forget to.
"""

import hashlib
import os
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from unix_lib.artefacts.errors import UserError
from unix_lib.config.file_hashes import UNREADABLE, FileHashes
from unix_lib.config.folders import is_folder, paths_below
from unix_lib.config.hub import is_hub_id, not_pinned
from unix_lib.config.inventory import Stamp, stamp_at
from unix_lib.config.strict import Model, StrictModel, key
from unix_lib.config.walk import changed, models_in

Found = TypeVar("Found")


class FilesIdentity(StrictModel):
    """What some files are: as many, as large, with these names and contents."""

    count: int = key("files, or texts", ge=0, lt=2**63)
    bytes: int = key("their size", ge=0, lt=2**63)
    sha256: str = key("SHA-256 over the list of (name, size, SHA-256), hexadecimal")


@dataclass
class Outside:
    """Where a config's relative paths begin, and what was found out about files so far."""

    root: Path
    hashes: FileHashes
    unreadable: list[Path] = field(default_factory=list)
    _found: dict[Hashable, Any] = field(default_factory=dict)
    _stamps: dict[str, Stamp | None] = field(default_factory=dict)

    def stamp(self, path: str) -> Stamp | None:
        """Size and times of a regular file, None of anything else; looked at once."""
        try:
            return self._stamps[path]
        except KeyError:
            stamp = self._stamps[path] = stamp_at(path)
            return stamp

    def size(self, path: str) -> int:
        """Bytes of a regular file; 0 of anything else."""
        stamp = self.stamp(path)
        return 0 if stamp is None else stamp[0]

    def files(self, paths: Iterable[Path | str]) -> FilesIdentity:
        """Identity of files by their names below the root, folders opened, each once, in a fixed order.

        A path that does not exist yet counts as no file: a plan can be looked at before the data are there, and
        the identity changes when they arrive. So it does when a file that can't be read can be.
        """
        begins = str(self.root / "_")[:-1]  # what paths below the root begin with
        files: dict[str, None] = {}
        for path in map(str, paths):  # as text: a plan may speak of millions
            whole = path if path.startswith("/") else begins + path if path != "." else str(self.root)
            if self.stamp(whole) is not None:
                files[whole] = None
            elif is_folder(Path(whole)):
                files |= dict.fromkeys(paths_below(whole))
            elif os.path.lexists(whole):
                files[whole] = None
        return self.named({path: path.removeprefix(begins) for path in files})

    def named(self, names: Mapping[str, str]) -> FilesIdentity:
        """Identity of files by names of their own, which don't say where they lie; see `files`."""
        whole_digest, total = hashlib.sha256(), 0
        for path, name in names.items():
            size, digest = self.hashes.size_and_digest(path, self.stamp(path))
            if digest == UNREADABLE:
                self.unreadable.append(Path(name))
            whole_digest.update(os.fsencode(name) + f"\0{size}\0{digest}\n".encode())
            total += size
        return FilesIdentity(count=len(names), bytes=total, sha256=whole_digest.hexdigest())

    def pretrained(self, path: str) -> FilesIdentity | None:
        """Identity of a pretrained model's local folder; None for a hub id, which its revision pins."""
        return None if is_hub_id(path, self.root) else self.files([Path(path)])

    def once(self, what: Hashable, find: Callable[[], Found]) -> Found:
        """What `find` gives, found once: a job reads the very list of files that was checked."""
        if what not in self._found:
            self._found[what] = find()
        found: Found = self._found[what]
        return found

    def anew(self) -> "Outside":
        """To look again, without reading again what is as it was."""
        return Outside(self.root, self.hashes)


class ReadsOutside(StrictModel):
    """Settings, or a part of them, that name files from outside."""

    identity: FilesIdentity | None = key("what the files are, filled in by the plan", None, sparse=True)

    named_by: ClassVar[str] = "path"  # the key that names them

    @property
    def sets_aside(self) -> bool:
        """Whether a file that can't be read is set aside instead of being an error."""
        return False

    def identify(self, outside: Outside) -> FilesIdentity | None:
        """What the files are now; None where the settings name none.

        Raises:
            NotImplementedError: a class that forgot to say it.
        """
        raise NotImplementedError(f"{type(self).__name__} must say what the files are that it reads from outside")

    def found(self, outside: Outside) -> dict[str, Any]:
        """The fields that the plan fills in."""
        return {"identity": self.identify(outside)}

    def named(self) -> str:
        """The key and what it says, for messages."""
        value = getattr(self, self.named_by)
        return f"{self.named_by} {', '.join(map(str, value)) if isinstance(value, list) else value}"

    def others(self) -> str:
        """What is wrong, and what to do, where the files are others than the plan knew."""
        return f"{self.named()} changed after the plan was made; run again"


def identified(settings: Model, outside: Outside) -> Model:
    """Settings with what the files are that they and their parts name."""
    return changed(settings, lambda model: model.found(outside) if isinstance(model, ReadsOutside) else {})


def require_unchanged(who: str, settings: StrictModel, outside: Outside) -> None:
    """Check, in a job, that the files which its settings name are those that the plan was made with.

    Args:
        who: the job's artefact, for messages.
        outside: hashes of files looked at before are believed as long as the files are not touched.

    Raises:
        UserError: they are not, or one can't be read.
    """
    for name in outside.hashes.written_since():
        raise UserError(f"{who}: {name} was written to while it was being read; run again")
    for part in models_in(settings):
        if not isinstance(part, ReadsOutside):
            continue
        looked_at = len(outside.unreadable)
        same = part.identify(outside) == part.identity
        for path in () if part.sets_aside else outside.unreadable[looked_at:]:
            raise UserError(f"{who}: {path} can't be read; make it a file that you may read, and run again")
        if not same:
            raise UserError(f"{who}: {part.others()}")
    if fault := not_pinned(settings):
        raise UserError(f"{who}: {fault}")
