"""Goes through settings and all that they hold: lists and mappings of settings too."""

from collections.abc import Callable, Iterator
from typing import Any

from unix_lib.config.strict import Model, StrictModel


def models_in(value: Any) -> Iterator[StrictModel]:
    """Every model in some settings, the whole before its parts."""
    if isinstance(value, StrictModel):
        yield value
        value = [getattr(value, name) for name in type(value).model_fields]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from models_in(item)


def changed(settings: Model, update: Callable[[StrictModel], dict[str, Any]]) -> Model:
    """Settings with what `update` says of each model in them, parts before the whole; the same where it is nothing."""
    new = {
        name: after
        for name in type(settings).model_fields
        if (after := _changed(before := getattr(settings, name), update)) is not before
    }
    new |= update(settings)
    return settings.model_copy(update=new) if new else settings


def _changed(value: Any, update: Callable[[StrictModel], dict[str, Any]]) -> Any:
    if isinstance(value, StrictModel):
        return changed(value, update)
    if isinstance(value, list):
        items = [_changed(item, update) for item in value]
        return items if any(a is not b for a, b in zip(items, value, strict=True)) else value
    if isinstance(value, dict):
        named = {name: _changed(item, update) for name, item in value.items()}
        return named if any(named[name] is not value[name] for name in value) else value
    return value
