"""Every number that a config may hold, of every kind in the registries: no boolean stands for it, and it has bounds."""

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import ValidationError

from unix_lib.config.experiment import Experiment
from unix_lib.config.kinds import KindField
from unix_lib.config.strict import StrictModel

FAR = 10**30
# Neither memory nor time follows from how large these are.
ENDLESS = {
    *("learning_rate", "weight_decay", "gradient_clip", "rope_theta", "initializer_range", "commitment_weight"),
    *("max_aspect_ratio", "megabytes", "temperature", "guidance_scale"),
}


def models_in(annotation: Any) -> Iterator[type[StrictModel]]:
    """The models that a field of this annotation may hold."""
    for item in getattr(annotation, "__metadata__", ()):
        if isinstance(item, KindField):
            yield from item.models().values()
    if isinstance(annotation, type) and issubclass(annotation, StrictModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)


def all_models() -> list[type[StrictModel]]:
    found: dict[type[StrictModel], None] = {}
    waiting: list[type[StrictModel]] = [Experiment]
    while waiting:
        model = waiting.pop()
        if model not in found:
            found[model] = None
            waiting += [inner for field in model.model_fields.values() for inner in models_in(field.annotation)]
    return list(found)


def types_in(annotation: Any) -> set[type]:
    arguments = get_args(annotation)
    if get_origin(annotation) is Literal:
        return {type(value) for value in arguments}
    return {annotation}.union(*map(types_in, arguments))


def numbers() -> list[Any]:
    return [
        pytest.param(model, name, id=f"{model.__name__}.{name}")
        for model in all_models()
        for name, field in model.model_fields.items()
        if types_in(field.annotation) & {int, float}
    ]


def is_refused(model: type[StrictModel], name: str, value: object) -> bool:
    """Whether a model refuses the value, or a list of it where it takes lists, for a fault of that field."""
    given = [value] if get_origin(model.model_fields[name].annotation) is list else value
    with pytest.raises(ValidationError) as caught:
        model.model_validate({name: given, "no such key": 1})  # so that nothing passes whole
    return any(fault["loc"][:1] == (name,) for fault in caught.value.errors())


def test_the_walk_finds_the_models_of_all_rooms() -> None:
    rooms = {model.__module__.split(".")[1] for model in all_models()}
    assert {"config", "sources", "tokenizers", "judges", "analyze", "evaluate"} <= rooms
    assert len(numbers()) > 80


@pytest.mark.parametrize(("model", "name"), numbers())
def test_a_number_is_no_boolean_and_has_bounds(model: type[StrictModel], name: str) -> None:
    assert is_refused(model, name, True) and is_refused(model, name, False)
    assert is_refused(model, name, -FAR), "no lower bound"
    for value in ("nan", "inf", float("nan"), float("inf")):
        assert is_refused(model, name, value)
    assert name in ENDLESS or is_refused(model, name, FAR), "no upper bound"
