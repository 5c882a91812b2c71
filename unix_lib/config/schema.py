"""The JSON schema of a config, generated from the models; editors complete and check YAML with it.

It is the schema of what a file may say, not of what it says together with the file that it extends: no key is required,
and `null`, which removes what is extended, may stand anywhere.
"""

import json
from typing import Any

from unix_lib.config.experiment import Experiment

EXTENDS = {"type": "string", "description": "a config beside this one; given here is only what differs from it"}
NULL = {"type": "null"}


def schema_text() -> str:
    """The schema as it stands in `config/schema.json`."""
    schema = Experiment.model_json_schema()
    schema["properties"]["extends"] = EXTENDS
    # In YAML the analyses stand beside `job`.
    analyze = schema["$defs"]["AnalyzeConfig"]
    analyze["additionalProperties"] = analyze["properties"].pop("analyses")["additionalProperties"]
    return json.dumps(_partial(schema), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _partial(schema: Any) -> Any:
    """The same schema for parts of what it describes."""
    if isinstance(schema, list):
        return [_partial(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("additionalProperties") is True:
        return schema  # somebody else's module, known by its name alone
    partial = {name: value if name == "default" else _partial(value) for name, value in schema.items()}
    partial.pop("required", None)
    partial.pop("discriminator", None)
    if "oneOf" in partial:  # parts may fit several
        partial["anyOf"] = partial.pop("oneOf")
    if isinstance(partial.get("properties"), dict):
        partial["properties"] = {name: _removable(value) for name, value in partial["properties"].items()}
    if isinstance(partial.get("additionalProperties"), dict):
        partial["additionalProperties"] = {"anyOf": [partial["additionalProperties"], NULL]}
    return partial


def _removable(schema: dict[str, Any]) -> dict[str, Any]:
    """The same schema, or null; titles and descriptions stay where editors look for them."""
    if "const" in schema or set(schema) == {"$ref"}:  # a kind, or a model that is always there
        return schema
    if "anyOf" in schema:
        return schema if NULL in schema["anyOf"] else schema | {"anyOf": [*schema["anyOf"], NULL]}
    about = {name: schema[name] for name in ("title", "description", "default", "kind") if name in schema}
    return about | {"anyOf": [{name: value for name, value in schema.items() if name not in about}, NULL]}
