"""What a config needs from outside: said by each kind, looked at by `plan` and `doctor`, brought by `fetch`."""

from dataclasses import dataclass
from pathlib import Path

from unix_lib.config.fetch import FetchedFile
from unix_lib.config.hub import FetchedRepository, model_of_hub


@dataclass(frozen=True)
class Need:
    """One thing from outside. Exactly one of `file`, `repository`, `task` and `local` is set."""

    what: str
    file: FetchedFile | None = None
    repository: FetchedRepository | None = None
    task: str | None = None  # of lm-eval's registry, which names the data sets behind it
    streamed: bool = False  # whether jobs read the repository over HTTP, so that nothing is fetched
    local: Path | None = None  # a path in the config that nothing downloads: the user brings it


def model_need(what: str, path: str, revision: str) -> Need:
    """A pretrained model: a repository of the hub at its revision, or a folder that the user brings."""
    repository = model_of_hub(path, revision)
    return Need(f"{what}: {path}", repository=repository, local=Path(path) if repository is None else None)
