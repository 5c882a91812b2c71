"""What a config names of the Hugging Face hub, and the commit of it."""

import re
from pathlib import Path
from typing import Any

from unix_lib.config.strict import StrictModel, key
from unix_lib.config.walk import models_in

COMMIT = r"^[0-9a-f]{40}$"
UNKNOWN_LICENCE = "licence unknown"  # nothing is said of it that nobody looked up


class OfHub(StrictModel):
    """Settings that may name a repository of the hub; their `revision` is a commit, or the lock has it."""

    def of_hub(self) -> "FetchedRepository | None":
        """The repository; None where the settings name none.

        Raises:
            NotImplementedError: a class that forgot to say it.
        """
        raise NotImplementedError(f"{type(self).__name__} must say what it names of the hub")

    @property
    def is_pinned(self) -> bool:
        """Whether all is known of it that jobs need."""
        repository = self.of_hub()
        return repository is None or re.match(COMMIT, repository.revision or "") is not None

    def pinned_at(self, commit: str, files: dict[str, int | None]) -> dict[str, Any]:
        """The fields that a lock fills in.

        Args:
            files: bytes of those of the repository that the patterns name, by path.
        """
        return {"revision": commit}


class FetchedRepository(OfHub):
    """A repository of the Hugging Face hub."""

    repository: str = key("owner/name on the hub", min_length=1)
    revision: str | None = key(
        "its commit, 40 hexadecimal digits; of a branch or tag, or of null, the default branch, `fetch --pin` writes "
        "the commit into the lock beside the config",
        None,
        min_length=1,
    )
    type: str = key("model or dataset", "dataset", pattern="^(model|dataset)$")
    folder: str | None = key(
        "folder it is copied to, relative to the project's root; null keeps it in the hub's cache", None
    )
    patterns: list[str] = key("files taken, as glob patterns; empty takes all", [])
    licence: str = key("its licence, shown by doctor and fetch; by default what the hub says of it", UNKNOWN_LICENCE)
    megabytes: float | None = key("its size, MB, shown by doctor", None, ge=0)

    def of_hub(self) -> "FetchedRepository":
        return self

    def __str__(self) -> str:
        at = "" if self.revision is None else f"@{self.revision}"
        return f"{self.type} {self.repository}{at}"


def is_hub_id(path: str, root: Path = Path()) -> bool:
    """Whether a model's path is `owner/name` on the hub rather than a folder."""
    return not (root / path).exists() and path.count("/") == 1 and path[0] not in "./~"


def model_of_hub(path: str, revision: str) -> FetchedRepository | None:
    """A pretrained model's repository; None where its path is that of a folder."""
    return FetchedRepository(repository=path, revision=revision or None, type="model") if is_hub_id(path) else None


def unpinned(settings: StrictModel) -> list[FetchedRepository]:
    """What some settings name of the hub without a commit, each thing once."""
    wanting = [model.of_hub() for model in models_in(settings) if isinstance(model, OfHub) and not model.is_pinned]
    return list({str((one.type, one.repository, one.revision, one.patterns)): one for one in wanting if one}.values())


def not_pinned(settings: StrictModel, config: object = "CONFIG") -> str | None:
    """What is not pinned and what to do, in one sentence; None where everything is."""
    names = list(dict.fromkeys(f"{one}{' (no folder here)' * (one.type == 'model')}" for one in unpinned(settings)))
    if not names:
        return None
    return (
        f"not pinned to a commit: {', '.join(names)}; run `unix-lib fetch {config} --pin` where the hub can be reached "
        "(a lock that is older than the config is brought up to date)"
    )
