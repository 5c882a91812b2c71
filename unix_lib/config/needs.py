"""What a config needs from outside: said by each kind, looked at by `plan` and `doctor`, brought by `fetch`."""

from dataclasses import dataclass
from pathlib import Path

from unix_lib.config.fetch import FetchedFile, FetchedRepository

UNKNOWN_LICENCE = "licence unknown"  # nothing is said of it that nobody looked up


@dataclass(frozen=True)
class Need:
    """One thing from outside. Exactly one of `file`, `repository`, `task` and `local` is set."""

    what: str
    file: FetchedFile | None = None
    repository: FetchedRepository | None = None
    task: str | None = None  # of lm-eval's registry, which names the data sets behind it
    local: Path | None = None  # a path in the config that nothing downloads: the user brings it


def is_hub_id(path: str, root: Path = Path()) -> bool:
    """Whether a model's path is `owner/name` on the hub rather than a folder."""
    return not (root / path).exists() and path.count("/") == 1 and path[0] not in "./~"


def model_need(what: str, path: str, revision: str) -> Need:
    """A pretrained model: a repository of the hub at its revision, or a folder that the user brings."""
    if not is_hub_id(path):
        return Need(f"{what}: {path}", local=Path(path))
    repository = FetchedRepository.model_construct(
        repository=path,
        revision=revision,
        type="model",
        folder=None,
        patterns=[],
        licence=UNKNOWN_LICENCE,
        megabytes=None,
    )
    return Need(f"{what}: {path}", repository=repository)
