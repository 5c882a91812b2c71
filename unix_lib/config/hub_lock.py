"""The lock beside a config: commits of what it names of the hub, with files, sizes and licences as the hub states them.

`unix-lib fetch config/NAME.yaml --pin` writes `config/NAME.lock`; it belongs into git. A config reads its own lock and
those of the configs that it extends, its own first. An entry stands for one repository at one revision and one list of
patterns as a config writes them: what a config asks for otherwise is not pinned. Each entry ends with a hash of what it
says, so that an edit by hand or a bad merge is known.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from unix_lib.artefacts.files import digest_of, write_text
from unix_lib.config.hub import COMMIT, FetchedRepository, OfHub
from unix_lib.config.strict import ConfigError, Model, StrictModel, key
from unix_lib.config.walk import changed

HEAD = """\
# Written by `unix-lib fetch {config} --pin`: what the hub stated on the day of `pinned`. Keep it in git.
# Pinning again keeps every commit that stands here; take an entry out to have it pinned anew. A commit of your own
# choice belongs into the config.
"""


class LockedRepository(StrictModel):
    """What a revision of a repository is."""

    needed_for: list[str] = key("what names it in the config", [])
    repository: str = key("owner/name on the hub")
    type: str = key("model or dataset", pattern="^(model|dataset)$")
    asked: str | None = key("revision as the config has it; null is the default branch")
    patterns: list[str] = key("files taken, as the config has them; empty takes all")
    revision: str = key("its commit", pattern=COMMIT)
    licence: str | None = key("as the hub states it; null where it states none")
    gated: bool = key("whether its owner gives access to those who ask only")
    bytes: int | None = key("of all files; null where the hub states no size of one")
    files: dict[str, int | None] = key("bytes by path")
    pinned: date = key("when")
    seal: str = key("hash of what is above, but for `needed_for` and `pinned`", "")

    def sealed(self) -> "LockedRepository":
        """With its seal."""
        return self.model_copy(update={"seal": self._seal()})

    @property
    def is_sealed(self) -> bool:
        """Whether it says what it was sealed with."""
        return self.seal == self._seal()

    def _seal(self) -> str:
        return digest_of(self.model_dump(mode="json", exclude={"needed_for", "pinned", "seal"}))

    def is_of(self, asked: FetchedRepository) -> bool:
        """Whether it is what a config, or one that has its commit from here, asks for."""
        same = (self.repository, self.type, self.patterns) == (asked.repository, asked.type, asked.patterns)
        return same and asked.revision in (self.asked, self.revision)


@dataclass(frozen=True)
class HubLock:
    """Entries of one or several locks; the first that fits counts."""

    entries: Sequence[LockedRepository] = field(default_factory=list)

    def entry_of(self, asked: FetchedRepository) -> LockedRepository | None:
        """The entry of what is asked for; None where it is not pinned here."""
        return next((entry for entry in self.entries if entry.is_of(asked)), None)

    def pinned(self, settings: Model) -> Model:
        """Settings with the commits of what they name of the hub, where the lock has them."""

        def update(model: StrictModel) -> dict[str, Any]:
            asked = model.of_hub() if isinstance(model, OfHub) else None
            entry = asked and self.entry_of(asked)
            return model.pinned_at(entry.revision, entry.files) if isinstance(model, OfHub) and entry else {}

        return changed(settings, update)


def lock_path(config: Path) -> Path:
    """Where a config's lock is."""
    return config.with_suffix(".lock")


def read_lock(path: Path, *, only_sealed: bool = False) -> HubLock:
    """A lock; an empty one where there is none.

    Args:
        only_sealed: leave out entries that are damaged instead of refusing them.

    Raises:
        ConfigError: it is no lock, or an entry is not what was written.
    """
    if not path.is_file():
        return HubLock()
    config = path.with_suffix(".yaml")
    try:
        # The one in C, where there is one: a lock may list thousands of files.
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        rows = values["hub"]
        assert isinstance(rows, list)
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError, AssertionError):
        told = f"{path}: no lock, or one that was merged badly; mend or delete it"
        raise ConfigError(f"{told}, then run `unix-lib fetch {config} --pin`") from None
    entries = []
    for number, row in enumerate(rows, start=1):
        try:
            entry = LockedRepository.model_validate(row)
        except ValidationError:
            entry = None
        if entry is not None and entry.is_sealed:
            entries.append(entry)
        elif not only_sealed:
            name = row.get("repository") if isinstance(row, dict) else None
            raise ConfigError(
                f"{path}: entry {number} ({name}) was edited by hand or merged badly; `unix-lib fetch {config} --pin` "
                "pins it anew; a commit of your own choice belongs into the config"
            )
    return HubLock(entries)


def write_lock(path: Path, lock: HubLock) -> None:
    """Write a lock, its entries in the order of their names."""
    entries = sorted(lock.entries, key=lambda one: (one.type, one.repository, one.asked or "", one.patterns))
    rows = [entry.sealed().model_dump(mode="python") for entry in entries]
    text = yaml.safe_dump({"hub": rows}, sort_keys=False, allow_unicode=True, width=1000)
    write_text(path, HEAD.format(config=path.with_suffix(".yaml").name) + text)
