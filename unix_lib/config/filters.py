"""Which rows of a table are taken: filter lists as pyarrow has them, on any column of any kind of table.

`[[column, operator, value], ...]` takes rows of which all hold; a list of such lists those of which any list holds.
What is null holds for nothing but `in` and `not in`, as in pyarrow. A text, such as a CSV file has for everything, is
compared with a number as the number that it says.
"""

import operator
from collections.abc import Callable, Mapping
from typing import Any


class NotComparableError(Exception):
    """A value that a filter can't be asked about, in words that repeat."""


Condition = tuple[str, str, Any]
Plain = str | int | float | bool | None
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda value, values: value in values,
    "not in": lambda value, values: value not in values,
}


def conditions_of(filter_: list[Any]) -> list[list[Condition]]:
    """A filter as a list of lists; an empty one has none.

    Raises:
        ValueError: it is none; says what is wrong.
    """
    groups = [filter_] if filter_ and isinstance(filter_[0], list | tuple) and _is_condition(filter_[0]) else filter_
    conditions = []
    for group in groups:
        if not isinstance(group, list | tuple) or not group:
            raise ValueError(f"{group!r} is no list of [column, operator, value]")
        for condition in group:
            if not isinstance(condition, list | tuple) or not _is_condition(condition):
                raise ValueError(f"{condition!r} is not [column, operator, value]")
            if condition[1] not in OPERATORS:
                raise ValueError(f"no operator '{condition[1]}'; known: {', '.join(OPERATORS)}")
            if condition[1].endswith("in") and not isinstance(condition[2], list | tuple):
                raise ValueError(f"'{condition[1]}' takes a list of values, not {condition[2]!r}")
            for value in _values_of(condition[2]):
                if not isinstance(value, Plain):
                    raise ValueError(f"{value!r} is no text, number, true or false; put it into quotes")
        conditions.append([(column, name, value) for column, name, value in group])
    return conditions


def columns_of(conditions: list[list[Condition]]) -> list[str]:
    """Columns that a filter asks for, each once."""
    return list(dict.fromkeys(column for group in conditions for column, _, _ in group))


def passes(values: Mapping[str, Any], conditions: list[list[Condition]]) -> bool:
    """Whether a row is taken.

    Raises:
        NotComparableError: a value can't be compared with the filter's; says which.
    """
    return not conditions or any(all(_holds(values, condition) for condition in group) for group in conditions)


def _holds(values: Mapping[str, Any], condition: Condition) -> bool:
    column, name, wanted = condition
    value = values.get(column)
    if value is None:
        return name.endswith("in") and OPERATORS[name](None, wanted)
    try:
        if isinstance(value, str) and any(isinstance(other, int | float) for other in _values_of(wanted)):
            value = float(value)
        return bool(OPERATORS[name](value, wanted))
    except (TypeError, ValueError) as error:
        raise NotComparableError(f"its '{column}' can't be compared with {wanted!r}") from error


def _values_of(wanted: Any) -> list[Any] | tuple[Any, ...]:
    return wanted if isinstance(wanted, list | tuple) else [wanted]


def _is_condition(value: Any) -> bool:
    return len(value) == 3 and isinstance(value[0], str) and isinstance(value[1], str)
