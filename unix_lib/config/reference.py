"""The reference of all config keys, docs/config.md, generated from the models."""

import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from unix_lib.config.experiment import Experiment
from unix_lib.config.kinds import KindField
from unix_lib.config.load import KIND_KEYS
from unix_lib.config.strict import StrictModel, kind_of

HEAD = """# Every key of a config

Written by `unix-lib schema` from the settings models; `config/schema.json` says the same to editors. The kind of a key
says what a change of it does: a **semantic** key changes results, and everything behind it is made anew; a **numeric**
key changes how a result is computed (threads, GPUs, batch sizes), an **operational** one not even that: both re-run
nothing. `<name>` stands for a name of your own. A key without a default must be given, here or in what is extended.
"""
NAMES = {"NoneType": "null", "str": "text", "int": "integer", "float": "number", "bool": "true, false"}
BOUNDS = (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"), ("multiple_of", "multiple of"))
Models = dict[type[StrictModel], str]


def reference_text() -> str:
    """The reference as it stands in `docs/config.md`."""
    shown: Models = {}
    parts = [HEAD, "## The sections\n", _table(Experiment)]
    for name, field in Experiment.model_fields.items():
        sections = list(_sections(name, field.annotation, shown))
        if sections:
            parts += [f"## `{name}`\n\n{_sentence(field.description)}\n", *sections]
    return "\n".join(parts)


def _sections(path: str, annotation: Any, shown: Models) -> Iterator[str]:
    """A section for each model that a field of this annotation may hold, then for those inside them."""
    kinds = [item for item in getattr(annotation, "__metadata__", ()) if isinstance(item, KindField)]
    if kinds:
        for model in kinds[0].models().values():
            yield from _section(path, model, shown)
    elif isinstance(annotation, type) and issubclass(annotation, StrictModel):
        yield from _section(path, annotation, shown)
    else:
        inner = f"{path}.<name>" if get_origin(annotation) is dict else path
        for argument in get_args(annotation):
            yield from _sections(inner, argument, shown)


def _section(path: str, model: type[StrictModel], shown: Models) -> Iterator[str]:
    path = path.replace("analyze.analyses.", "analyze.")  # as YAML has it
    title = f"`{path}`{_which(model)}"
    if model in shown:
        return
    shown[model] = title
    yield f"### {title}\n\n{_sentence(model.__doc__)}\n\n{_table(model)}"
    for name, field in model.model_fields.items():
        yield from _sections(f"{path}.{name}", field.annotation, shown)


def _which(model: type[StrictModel]) -> str:
    """What tells a model from the others that may stand in its place."""
    for name in KIND_KEYS:
        field = model.model_fields.get(name)
        if field is not None and get_origin(field.annotation) is Literal:
            return f" with `{name}: {get_args(field.annotation)[0]}`"
    return ""


def _table(model: type[StrictModel]) -> str:
    rows = ["| key | kind | values | default | meaning |", "|---|---|---|---|---|"]
    for name, field in model.model_fields.items():
        values = _values(Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation)
        cells = (f"`{name}`", kind_of(field), values, _default(field), field.description or "which of them")
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _values(annotation: Any) -> str:
    """What a key may be, in words."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        if any(isinstance(item, KindField) for item in arguments[1:]):
            return "of some kind"
        bounds = [
            f"{sign} {getattr(item, name)}" for item in arguments[1:] for name, sign in BOUNDS if hasattr(item, name)
        ]
        words = " ".join([_values(arguments[0]), *bounds])
    elif origin is Literal:
        words = ", ".join(f"`{value}`" for value in arguments)
    elif origin in (list, dict):
        inner = _values(arguments[-1])
        words = f"list of {inner}" if origin is list else f"{inner}, by name"
    elif arguments:  # a union
        words = " or ".join(dict.fromkeys(_values(argument) for argument in arguments))
    elif isinstance(annotation, type) and issubclass(annotation, StrictModel):
        words = "keys"
    else:
        words = NAMES.get(annotation.__name__, annotation.__name__)
    return words


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return ""
    value = field.get_default(call_default_factory=True)
    if isinstance(value, StrictModel):
        plain = type(value).model_validate({}).model_dump(mode="json")
        value = {name: given for name, given in value.model_dump(mode="json").items() if given != plain[name]}
        if not value:
            return "their own"
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def _sentence(text: str | None) -> str:
    text = " ".join((text or "").split())
    return f"{text[:1].upper()}{text[1:].removesuffix('.')}."
