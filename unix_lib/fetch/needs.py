"""What a config needs from outside, and whether it is there."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.files import sha256_of
from unix_lib.config.experiment import Experiment
from unix_lib.config.folders import matching
from unix_lib.config.hub import UNKNOWN_LICENCE, FetchedRepository
from unix_lib.config.hub_lock import HubLock
from unix_lib.config.models import PretrainedStart
from unix_lib.config.needs import Need, model_need


def needs_of(config: Experiment) -> list[Need]:
    """Everything a config needs, in the order of its stages, each thing once.

    What `fetch` puts into place is not asked of the user again.
    """
    fetched = [Need(f"file {item.path}", file=item) for item in config.fetch.files]
    fetched += [Need(f"{item.type} {item.repository}", repository=item) for item in config.fetch.repositories]
    provided = [Path(item.path) for item in config.fetch.files]
    provided += [Path(item.folder) for item in config.fetch.repositories if item.folder is not None]
    needs: dict[tuple[object, ...], Need] = {}
    for need in [*fetched, *_of_kinds(config)]:
        if need.local is None or not {need.local, *need.local.parents}.intersection(provided):
            first = needs.setdefault(_thing(need), need)
            if first.streamed and not need.streamed:
                needs[_thing(need)] = need
    return list(needs.values())


def _of_kinds(config: Experiment) -> Iterator[Need]:
    """What each part of a config says that it needs."""
    for name, source in config.sources.items():
        yield from source.needs(name)
    for tokenizer in (config.tokenizers.text, config.tokenizers.image):
        if tokenizer is not None:
            yield from tokenizer.needs()
    for name, run in config.runs.items():
        if isinstance(run.start, PretrainedStart):
            yield model_need(f"start of run {name}", run.start.path, run.start.revision)
    for name, benchmark in config.benchmarks.items():
        yield from benchmark.needs(name)
    for name, judge in config.evaluate.all_judges().items() if config.evaluate else ():
        yield from judge.needs(name)
    for name, analysis in config.analyze.analyses.items():
        yield from analysis.needs(name)


def _thing(need: Need) -> tuple[object, ...]:
    """What is needed, whoever needs it."""
    repository = need.repository
    of_hub = repository and (repository.repository, repository.revision, repository.folder, *repository.patterns)
    return need.file, of_hub, need.task, need.local


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
        found = need.local.exists() or matching(str(need.local), Path())
        return None if found else "no such file or folder; put it there"
    if need.task is not None:
        from unix_lib.benchmarks.lm_eval_tasks import load_registered

        try:
            load_registered(need.task)
        except UserError as error:
            return str(error).split("; ")[0]
        return None
    assert need.repository is not None
    return None if need.streamed and need.repository.is_pinned else _missing_of_hub(need.repository)


def _missing_of_hub(repository: FetchedRepository) -> str | None:
    from unix_lib.fetch.hub import is_in_place

    if not repository.is_pinned:
        return "not pinned to a commit"
    where = f"or not in {repository.folder}" if repository.folder else ""
    return None if is_in_place(repository) else f"not in the hub's cache {where}".rstrip()


@dataclass(frozen=True)
class Stated:
    """What is known of a thing that is downloaded."""

    licence: str = UNKNOWN_LICENCE
    bytes: float | None = None
    gated: bool = False

    def __str__(self) -> str:
        size = "size unknown" if self.bytes is None else f"{self.bytes / 1e6:,.0f} MB"
        return ", ".join([self.licence, size, *["gated: its owner gives access to those who ask"] * self.gated])


def stated(need: Need, lock: HubLock, *, ask: bool = False) -> Stated | None:
    """What is known of a need: by the config, else the lock, else the hub where it was asked; None of what is local.

    Args:
        ask: whether to ask the hub, which needs a network.
    """
    item = need.file or need.repository
    if item is None:
        return None if need.task is None else Stated()
    size = None if item.megabytes is None else item.megabytes * 10**6
    if need.repository is None:
        return Stated(item.licence, size)
    found = _of_hub(need.repository, lock, ask)
    named = item.licence != UNKNOWN_LICENCE
    return Stated(item.licence if named else found.licence, size if found.bytes is None else found.bytes, found.gated)


def _of_hub(repository: FetchedRepository, lock: HubLock, ask: bool) -> Stated:
    from unix_lib.fetch.listings import kept, published

    entry = lock.entry_of(repository)
    if entry is not None:
        return Stated(entry.licence or UNKNOWN_LICENCE, entry.bytes, entry.gated)
    listing = kept(repository)
    if listing is None and ask:
        with contextlib.suppress(Exception):  # whatever the client raises: what is unknown is said to be
            listing = published(repository)
    if listing is None:
        return Stated()
    return Stated(listing.licence or UNKNOWN_LICENCE, listing.size(repository), listing.gated)
