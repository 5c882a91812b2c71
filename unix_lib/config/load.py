"""YAML in, a checked `Experiment` out."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from unix_lib.config.experiment import Experiment
from unix_lib.config.strict import ConfigError


def load_experiment(path: Path) -> Experiment:
    """Read and check a config file.

    Raises:
        ConfigError: the file is missing, is not YAML, or fails a check; one line per fault.
    """
    if not path.is_file():
        known = ", ".join(sorted(p.name for p in path.parent.glob("*.yaml"))) or "none"
        raise ConfigError(f"{path}: no such config; in that folder: {known}")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    return parse_experiment(values, origin=str(path))


def parse_experiment(values: Any, origin: str) -> Experiment:
    """Check config values, wherever they come from; `origin` starts each line of an error."""
    try:
        return Experiment.model_validate(values)
    except ValidationError as error:
        lines = []
        for fault in error.errors():
            where = ".".join(str(part) for part in fault["loc"])
            message = fault["msg"].removeprefix("Value error, ")
            lines.append(f"{origin}: {where + ': ' if where else ''}{message}")
        raise ConfigError("\n".join(lines)) from None
