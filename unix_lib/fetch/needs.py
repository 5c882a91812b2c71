"""What a config needs from outside, and whether it is there."""

from dataclasses import dataclass
from pathlib import Path

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.files import sha256_of
from unix_lib.config import Experiment
from unix_lib.config.fetch import FetchedFile, FetchedRepository
from unix_lib.config.models import PretrainedStart
from unix_lib.config.outside import is_hub_id
from unix_lib.config.tokenizers import PretrainedImageTokenizer, PretrainedTextTokenizer


@dataclass(frozen=True)
class Need:
    """One thing from outside. Exactly one of `file`, `repository`, `task` and `local` is set."""

    what: str
    file: FetchedFile | None = None
    repository: FetchedRepository | None = None
    task: str | None = None  # of lm-eval's registry, which names the data sets behind it
    local: Path | None = None  # a path in the config that nothing downloads: the user brings it


def needs_of(config: Experiment) -> list[Need]:
    """Everything a config needs, in the order of its stages, each thing once."""
    needs = [Need(f"file {item.path}", file=item) for item in config.fetch.files]
    needs += [Need(f"{item.type} {item.repository}", repository=item) for item in config.fetch.repositories]
    provided = [Path(item.path) for item in config.fetch.files]
    provided += [Path(item.folder) for item in config.fetch.repositories if item.folder is not None]

    pretrained: dict[tuple[str, str], str] = {}
    for what, tokenizer in (("text tokenizer", config.tokenizers.text), ("image tokenizer", config.tokenizers.image)):
        if isinstance(tokenizer, PretrainedTextTokenizer | PretrainedImageTokenizer):
            pretrained.setdefault((tokenizer.path, tokenizer.revision), what)
    for name, run in config.train.runs.items():
        if isinstance(run.start, PretrainedStart):
            pretrained.setdefault((run.start.path, run.start.revision), f"start of run {name}")
    for (path, revision), what in pretrained.items():
        if is_hub_id(path):
            repository = FetchedRepository.model_construct(
                repository=path,
                revision=revision,
                type="model",
                folder=None,
                patterns=[],
                licence="licence: see its page",
                megabytes=None,
            )
            needs.append(Need(f"{what}: {path}", repository=repository))
        else:
            needs.append(Need(f"{what}: {path}", local=Path(path)))

    for name, source in config.sources.items():
        paths = [source.folder, source.captions] if source.kind == "image_folder" else []
        needs += [Need(f"source {name}: {path}", local=Path(path)) for path in paths]
        if source.kind == "text":
            needs += [Need(f"source {name}: {pattern}", local=Path(pattern)) for pattern in source.files]
    for name, benchmark in config.evaluate.benchmarks.items():
        if benchmark.file is not None:
            needs.append(Need(f"benchmark {name}: {benchmark.file}", local=Path(benchmark.file)))
        if benchmark.task is not None:
            needs.append(Need(f"benchmark {name}: data of lm-eval task {benchmark.task}", task=benchmark.task))
    return [need for need in needs if need.local is None or not _below(need.local, provided)]


def _below(path: Path, provided: list[Path]) -> bool:
    return any(path == item or item in path.parents for item in provided)


def missing_because(need: Need) -> str | None:
    """Why a need is not met yet, in a few words; None when it is.

    For a task the process must be offline (`HF_HUB_OFFLINE=1`), or this downloads its data.
    """
    if need.file is not None:
        path = Path(need.file.path)
        if not path.is_file():
            return "not downloaded"
        return None if sha256_of(path) == need.file.sha256 else "its sha256 differs from the config's"
    if need.local is not None:
        found = any(Path().glob(str(need.local))) if not need.local.is_absolute() else need.local.exists()
        return None if found else "no such file or folder; put it there"
    if need.task is not None:
        from unix_lib.benchmarks.lm_eval_tasks import load_registered

        try:
            load_registered(need.task)
        except UserError as error:
            return str(error).split("; ")[0]
        return None
    assert need.repository is not None
    from unix_lib.fetch.hub import cached_revision

    return None if cached_revision(need.repository) is not None else "not in the hub's cache"
