"""The base of every config model: unknown keys are refused by name, every field says what kind it is.

Three kinds of key (see `unix_lib/README.md`):

* *semantic* keys change results; they enter the recipe, and so the path of everything behind them;
* *numeric* keys change how a result is computed, not what it means (threads, world size, micro-batch):
  recorded in the provenance, they re-run nothing;
* *operational* keys (logging, memory, wall time) change neither.
"""

import difflib
from collections.abc import Iterator
from functools import cache
from typing import Any, Literal, Self, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import InitErrorDetails, PydanticCustomError

from unix_lib.artefacts.errors import UserError

KeyKind = Literal["semantic", "numeric", "operational"]
Model = TypeVar("Model", bound="StrictModel")


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


def kind_of(field: FieldInfo) -> KeyKind:
    """Whether a field changes results, how they are computed, or neither."""
    extra = field.json_schema_extra
    return extra["kind"] if isinstance(extra, dict) and "kind" in extra else "semantic"  # type: ignore[return-value]


def _is_left_out(field: FieldInfo, value: Any) -> bool:
    extra = field.json_schema_extra
    return isinstance(extra, dict) and "sparse" in extra and bool(value == field.get_default(call_default_factory=True))


class StrictModel(BaseModel):
    """A frozen pydantic model that names an unknown key together with the nearest valid one."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="wrap")
    @classmethod
    def _name_the_nearest_key(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Every fault of a model at once, unknown keys with a hint among them."""
        faults = list(cls._booleans_for_numbers(values))
        try:
            model = handler(values)
        except ValidationError as error:
            faults += [dict(fault) for fault in error.errors(include_url=False)]
        if faults:
            raise ValidationError.from_exception_data(cls.__name__, list(map(cls._explained, faults)))
        return model

    @classmethod
    def _booleans_for_numbers(cls, values: Any) -> Iterator[dict[str, Any]]:
        """Faults where true or false stands for a number: Python and pydantic take them as 1 and 0."""
        for name in cls._numeric() if isinstance(values, dict) else ():
            given = values.get(name)
            if any(isinstance(item, bool) for item in (given if isinstance(given, list) else [given])):
                message = "a number is needed, not true or false, which are also what YAML makes of yes, no, on and off"
                yield {"type": "boolean", "msg": message, "loc": (name,), "input": given}

    @classmethod
    @cache
    def _numeric(cls) -> tuple[str, ...]:
        """Fields that hold numbers, or lists of them."""
        return tuple(name for name, field in cls.model_fields.items() if {int, float} & _types(field.annotation))

    @classmethod
    def _explained(cls, fault: dict[str, Any]) -> InitErrorDetails:
        kind, message, where = fault["type"], fault["msg"].removeprefix("Value error, "), fault["loc"]
        if kind == "extra_forbidden" and len(where) == 1:
            kind, message, where = (
                "unknown_key",
                f"unknown key '{where[0]}'; {nearest(str(where[0]), list(cls.model_fields))}",
                (),
            )
        elif kind == "literal_error":
            kind, message = "unknown_value", f"{message}, not {fault['input']!r}"
        return InitErrorDetails(
            type=PydanticCustomError(kind, "{message}", {"message": message}), loc=where, input=fault["input"]
        )

    def narrowed(self, model: type[Model], **others: Any) -> Model:
        """Another model made of the fields that both have, and of `others`."""
        common = {name: getattr(self, name) for name in model.model_fields if name in type(self).model_fields}
        return model.model_validate(common | others)

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
            field_kind = kind_of(field)
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


def nearest(name: str, known: list[str]) -> str:
    """A hint for a name that is not among those known."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(known) or 'none'}"


def _types(annotation: Any) -> set[Any]:
    """The types that an annotation, with the values of its literals, is made of."""
    arguments = get_args(annotation)
    if get_origin(annotation) is Literal:
        return {type(value) for value in arguments}
    return {annotation}.union(*map(_types, arguments))


def _plain(value: Any, kind: KeyKind) -> Any:
    if isinstance(value, StrictModel):
        return value.semantic() if kind == "semantic" else value.model_dump(mode="json")
    if isinstance(value, list | tuple):
        return [_plain(item, kind) for item in value]
    if isinstance(value, dict):
        return {str(name): _plain(item, kind) for name, item in value.items()}
    return value
