"""The JSON schema of a config, generated from the models; editors complete and check YAML with it."""

import json
from pathlib import Path

from unix_lib.artefacts.files import write_text
from unix_lib.config.experiment import Experiment


def schema_text() -> str:
    """The schema as it stands in `config/schema.json`."""
    return json.dumps(Experiment.model_json_schema(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def write_schema(path: Path) -> None:
    """Write the schema."""
    write_text(path, schema_text())
