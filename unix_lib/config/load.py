"""YAML in, a checked `Experiment` out.

A config may say `extends: laptop.yaml` and give only what differs: mappings are merged key by key, everything
else replaces what it extends, and `null` in place of a mapping removes it.
"""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from unix_lib.config.experiment import Experiment
from unix_lib.config.strict import ConfigError

MAX_DEPTH = 8


def load_experiment(path: Path) -> Experiment:
    """Read and check a config file.

    Raises:
        ConfigError: the file is missing, is not YAML, or fails a check; one line per fault.
    """
    return parse_experiment(_read_yaml(path), origin=str(path), folder=path.parent)


def parse_experiment(values: Any, origin: str, folder: Path) -> Experiment:
    """Check config values, wherever they come from.

    Args:
        values: what the YAML says.
        origin: starts each line of an error.
        folder: where a config named by `extends` is looked for.

    Raises:
        ConfigError: see `load_experiment`.
    """
    try:
        return Experiment.model_validate(_extended(values, folder))
    except ValidationError as error:
        lines = []
        for fault in error.errors():
            where = ".".join(str(part) for part in fault["loc"])
            message = fault["msg"].removeprefix("Value error, ")
            if fault["type"] == "literal_error":
                message += f", not {fault['input']!r}"
            lines.append(f"{origin}: {where + ': ' if where else ''}{message}")
        raise ConfigError("\n".join(lines)) from None


def _read_yaml(path: Path) -> Any:
    if not path.is_file():
        known = ", ".join(sorted(p.name for p in path.parent.glob("*.yaml"))) or "none"
        raise ConfigError(f"{path}: no such config; in that folder: {known}")
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error


def _extended(values: Any, folder: Path, depth: int = 0) -> Any:
    if not isinstance(values, dict) or "extends" not in values:
        return values
    if depth > MAX_DEPTH:
        raise ConfigError(f"{folder}: configs extend each other in a circle; remove one 'extends'")
    own = {name: value for name, value in values.items() if name != "extends"}
    return _merged(_extended(_read_yaml(folder / str(values["extends"])), folder, depth + 1), own)


def _merged(base: Any, own: Any) -> Any:
    if not (isinstance(base, dict) and isinstance(own, dict)):
        return own
    merged = dict(base)
    for name, value in own.items():
        if value is None and isinstance(base.get(name), dict):
            del merged[name]
        else:
            merged[name] = _merged(base[name], value) if name in base else value
    return merged
