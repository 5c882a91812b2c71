"""Config of an experiment: one pydantic model per stage, checked before anything runs."""

from unix_lib.config.experiment import Experiment
from unix_lib.config.load import load_experiment, lock_of, parse_experiment, read_config
from unix_lib.config.strict import ConfigError

__all__ = ["ConfigError", "Experiment", "load_experiment", "lock_of", "parse_experiment", "read_config"]
