"""What a check finds in a config itself: values that are still to be filled in, and what is not there yet."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unix_lib.artefacts.errors import UserError
from unix_lib.config.experiment import Experiment
from unix_lib.fetch.needs import missing_because, needs_of
from unix_lib.look.findings import Finding

# What people write where a path or a name is still to be filled in.
PLACEHOLDER = re.compile(
    r"path/to/|(?<![a-z])(?:todo|fixme|tbd|change[-_ ]?me|replace[-_ ]?me|placeholder|x{3,})(?![a-z])|<[^<>|]+>|"
    r"(?:^|/)your[-_]|\.\.\./|^0{40}$",
    re.IGNORECASE,
)


def of_config(experiment: Experiment, config: Path) -> Iterator[Finding]:
    """Values that are still to be filled in, and what is not there yet."""
    placeholders = [
        (where, value)
        for where, value in _texts(experiment.model_dump(mode="json"))
        if where != "report" and PLACEHOLDER.search(value)
    ]
    for where, value in placeholders:
        yield Finding("wrong", where, f"'{value}' stands for something else", "write what is meant")
    told = {value for _, value in placeholders}
    missing = 0
    for need in needs_of(experiment):
        if need.task is not None or str(need.local) in told:  # looking at a task's data would download them
            continue
        try:
            reason = missing_because(need)
        except UserError as error:
            reason = str(error)
        if reason is not None:
            missing += 1
            pins = need.repository is not None and not need.repository.is_pinned
            brings = f"`unix-lib fetch {config} --pin` does it" if pins else f"`unix-lib fetch {config}` brings it"
            remedy = "" if need.local is not None else brings
            yield Finding("wrong", need.what, reason, remedy)
    images, captions = experiment.sources_with_images(), experiment.sources_with_captions()
    for name, mixture in experiment.mixtures.items():
        for notice in mixture.notices(name, images, captions):
            where, _, what = notice.partition(": ")
            yield Finding("look", where, what.rstrip("."))
    if not placeholders and not missing:
        yield Finding("ok", "config", "nothing is left to be filled in, and what it names is there")


def _texts(value: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """Texts in a config's values, each with its place; of a report none."""
    if isinstance(value, str):
        yield where, value
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts(inner, f"{where}.{name}" if where else str(name))
    if isinstance(value, list):
        for inner in value:
            yield from _texts(inner, where)
