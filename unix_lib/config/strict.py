"""The base of every config model: unknown keys are refused by name, every field says what kind it is.

Three kinds of key (see `unix_lib/README.md`):

* *semantic* keys change results; they enter the recipe, and so the path of everything behind them;
* *numeric* keys change how a result is computed, not what it means (threads, world size, micro-batch):
  recorded in the provenance, they re-run nothing;
* *operational* keys (logging, memory, wall time) change neither.
"""

import difflib
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.fields import FieldInfo

from unix_lib.artefacts.errors import UserError

KeyKind = Literal["semantic", "numeric", "operational"]


class ConfigError(UserError):
    """A config that can't be run; the message names the key and the remedy."""


def key(
    description: str, default: Any = ..., *, kind: KeyKind = "semantic", sparse: bool = False, **constraints: Any
) -> Any:
    """Declare a config field with its description and its kind; `default=...` makes it required.

    A `sparse` key stays out of recipes while it has its default: it may be added to a released config model, and
    what was made before it existed keeps its digest.
    """
    extra: dict[str, Any] = {"kind": kind}
    if sparse:
        extra["sparse"] = True
    if isinstance(default, list | dict):
        return Field(
            default_factory=lambda: type(default)(default),
            description=description,
            json_schema_extra=extra,
            **constraints,
        )
    return Field(default=default, description=description, json_schema_extra=extra, **constraints)


def _kind_of(field: FieldInfo) -> KeyKind:
    extra = field.json_schema_extra
    return extra["kind"] if isinstance(extra, dict) and "kind" in extra else "semantic"  # type: ignore[return-value]


def _is_left_out(field: FieldInfo, value: Any) -> bool:
    extra = field.json_schema_extra
    return isinstance(extra, dict) and "sparse" in extra and bool(value == field.get_default(call_default_factory=True))


class StrictModel(BaseModel):
    """A frozen pydantic model that names an unknown key together with the nearest valid one."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        known = list(cls.model_fields)
        for name in values:
            if name not in known:
                nearest = difflib.get_close_matches(str(name), known, n=1, cutoff=0.4)
                hint = f"did you mean '{nearest[0]}'?" if nearest else f"valid keys: {', '.join(known)}"
                raise ValueError(f"unknown key '{name}'; {hint}")
        return values

    def of_kind(self, kind: KeyKind) -> dict[str, Any]:
        """The keys of one kind as plain JSON values, nested models included, empty branches and sparse keys left out.

        A field's kind covers everything inside it, except that the sub-models of a semantic field are
        asked for their own keys' kinds.
        """
        chosen: dict[str, Any] = {}
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if _is_left_out(field, value):
                continue
            field_kind = _kind_of(field)
            if field_kind == kind:
                chosen[name] = _plain(value, kind)
            elif field_kind == "semantic" and isinstance(value, StrictModel):
                inner = value.of_kind(kind)
                if inner:
                    chosen[name] = inner
        return chosen

    def semantic(self) -> dict[str, Any]:
        """What enters the recipe."""
        return self.of_kind("semantic")


def _plain(value: Any, kind: KeyKind) -> Any:
    if isinstance(value, StrictModel):
        return value.semantic() if kind == "semantic" else value.model_dump(mode="json")
    if isinstance(value, list | tuple):
        return [_plain(item, kind) for item in value]
    if isinstance(value, dict):
        return {str(name): _plain(item, kind) for name, item in value.items()}
    return value
