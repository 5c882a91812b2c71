"""What a config needs from outside, and whether it is there."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.files import sha256_of
from unix_lib.config.experiment import Experiment
from unix_lib.config.folders import matching
from unix_lib.config.models import PretrainedStart
from unix_lib.config.needs import UNKNOWN_LICENCE, Need, model_need


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
            needs.setdefault(_thing(need), need)
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
    from unix_lib.fetch.hub import is_in_place

    where = f"or not in {need.repository.folder}" if need.repository.folder else ""
    return None if is_in_place(need.repository) else f"not in the hub's cache {where}".rstrip()


def about(need: Need, *, ask: bool = False) -> list[str]:
    """Licence and size of what is downloaded: the config's, else the hub's where it was asked, else "unknown".

    Args:
        ask: whether to ask the hub, which needs a network.
    """
    if need.task is not None:
        return [UNKNOWN_LICENCE, "size unknown"]
    item = need.file or need.repository
    if item is None:
        return []
    licence, size = item.licence, None if item.megabytes is None else item.megabytes * 10**6
    if need.repository is not None:
        from unix_lib.fetch.listings import kept, published

        listing = kept(need.repository)
        if listing is None and ask:
            with contextlib.suppress(Exception):  # whatever the client raises: what is unknown is said to be
                listing = published(need.repository)
        if listing is not None:
            size = listing.size(need.repository)
            licence = listing.licence if listing.licence and licence == UNKNOWN_LICENCE else licence
    return [licence, "size unknown" if size is None else f"{size / 1e6:,.0f} MB"]
