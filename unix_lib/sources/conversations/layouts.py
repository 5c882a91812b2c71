"""Reads a row of any layout as a conversation: messages of a system, a user and an assistant, checked.

What a row lacks or has too much makes it unusable as a whole: nothing is cut off or made up.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from unix_lib.records.lines import BadLine, fault_of, value_of
from unix_lib.sources.conversations.kind import ConversationColumns, Layout
from unix_lib.sources.errors import BadRow

SYSTEM, USER, ASSISTANT = "system", "user", "assistant"
# What the sets call who speaks.
ROLES = {
    **dict.fromkeys(("system",), SYSTEM),
    **dict.fromkeys(("user", "human", "prompter"), USER),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "bing", "bard", "model"), ASSISTANT),
}
# Columns that a row of a layout must have; the first layout whose columns it has is its own.
REQUIRED: dict[Layout, tuple[str, ...]] = {
    "messages": ("messages",),
    "sharegpt": ("conversations",),
    "openorca": ("question", "response"),
    "alpaca": ("instruction", "output"),
}
OPTIONAL: dict[Layout, tuple[str, ...]] = {"openorca": ("system_prompt",), "alpaca": ("input",)}

NO_LAYOUT = "no layout"
BAD_TURNS = "turns that can't be read"
UNKNOWN_ROLE = "unknown role"
NO_ANSWER = "no answer"
EMPTY_TURN = "empty turn"
ODD_ORDER = "turns out of order"
NOT_TEXT = "not plain text"

Message = dict[str, str]  # role, content


def named_columns(layout: str, columns: ConversationColumns) -> list[str]:
    """What the files call all columns that a layout, or any (auto), reads."""
    layouts = REQUIRED if layout == "auto" else [layout]
    keys = [name for each in layouts for name in (*REQUIRED[each], *OPTIONAL.get(each, ()))]  # type: ignore[index,call-overload]
    return [getattr(columns, name) for name in keys]


def messages_of(row: Mapping[str, Any], layout: str, columns: ConversationColumns) -> list[Message]:
    """The checked messages of a row: a system's turn or none, then users and assistants in turn, an answer last.

    Raises:
        BadRow: it has none; says why.
    """
    values = {name: row.get(getattr(columns, name)) for name in ConversationColumns.model_fields}
    found = layout if layout != "auto" else _layout_of(values)
    return _checked(list(_turns(values, found)))


def checked_messages(turns: Any) -> list[Message]:
    """Messages of a list of turns, each with `role` and `content` or with `from` and `value`; see `messages_of`.

    Raises:
        BadRow: they are none; says why.
    """
    return _checked([_turn(turn, number) for number, turn in enumerate(_listed(turns), start=1)])


def _layout_of(values: Mapping[str, Any]) -> str:
    for layout, required in REQUIRED.items():
        if all(values[name] is not None for name in required):
            return layout
    there = ", ".join(name for name, value in values.items() if value is not None)
    raise BadRow(NO_LAYOUT, f"of the layouts' columns it has {there or 'none'}")


def _turns(values: Mapping[str, Any], layout: str) -> Iterator[tuple[str, str]]:
    """(role, content) of every turn; what is said beside a conversation, such as an empty system prompt, is none."""
    if layout in ("messages", "sharegpt"):
        for number, turn in enumerate(_listed(values[REQUIRED[layout][0]]), start=1):  # type: ignore[index]
            yield _turn(turn, number)
        return
    system, asked, answer = ("system_prompt", "question", "response")
    if layout == "alpaca":
        system, asked, answer = "", "instruction", "output"
    if system and values[system] not in (None, ""):
        yield SYSTEM, _text(values[system], f"'{system}'")
    question = _text(values[asked], f"'{asked}'")
    if layout == "alpaca" and values["input"] not in (None, ""):
        # ASSUME: the instruction, then what it is about, as two paragraphs.
        question = f"{question}\n\n{_text(values['input'], repr('input'))}"
    yield USER, question
    yield ASSISTANT, _text(values[answer], f"'{answer}'")


def _listed(turns: Any) -> list[Any]:
    """Turns as a list; some sets keep them as JSON."""
    if isinstance(turns, str):
        try:
            turns = value_of(turns)
        except BadLine:
            turns = None
    if not isinstance(turns, list) or not turns:
        raise BadRow(BAD_TURNS, "not a list of turns, or an empty one")
    return turns


def _turn(turn: Any, number: int) -> tuple[str, str]:
    match turn:
        case {"role": str(role), "content": content} if content is not None:
            pass
        case {"from": str(role), "value": content}:
            pass
        case _:
            raise BadRow(BAD_TURNS, f"turn {number} has no role with content, nor from with value")
    if role.lower() not in ROLES:
        raise BadRow(UNKNOWN_ROLE, f"turn {number} is of '{role[:40]}'; known: {', '.join(ROLES)}")
    return ROLES[role.lower()], _text(content, f"turn {number}")


def _text(content: Any, where: str) -> str:
    """A content's text: itself, or the texts of its parts, one behind the other as chat templates put them."""
    if isinstance(content, list):
        parts = [
            part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None for part in content
        ]
        if not all(isinstance(part, str) for part in parts):
            raise BadRow(NOT_TEXT, f"{where} has a part that is no text")
        content = "".join(map(str, parts))
    if not isinstance(content, str):
        what = "null" if content is None else type(content).__name__
        raise BadRow(NOT_TEXT, f"{where} is {what}, not a text")
    if (fault := fault_of(content)) is not None:
        raise BadRow(NOT_TEXT, f"{where} {fault}")
    if not content.strip():
        raise BadRow(EMPTY_TURN, f"{where} is empty")
    return content


def _checked(turns: list[tuple[str, str]]) -> list[Message]:
    roles = [role for role, _ in turns]
    if ASSISTANT not in roles:
        raise BadRow(NO_ANSWER, f"{len(turns)} turns, none of the assistant")
    spoken = roles[1:] if roles[0] == SYSTEM else roles
    if SYSTEM in spoken:
        raise BadRow(ODD_ORDER, "a system's turn that is not the first")
    expected = [USER, ASSISTANT] * (len(spoken) // 2 + 1)
    for number, (role, wanted) in enumerate(zip(spoken, expected, strict=False), start=len(roles) - len(spoken) + 1):
        if role != wanted:
            raise BadRow(ODD_ORDER, f"turn {number} is the {role}'s, not the {wanted}'s")
    if spoken[-1] != ASSISTANT:
        raise BadRow(NO_ANSWER, "the last turn has no answer")
    return [{"role": role, "content": content} for role, content in turns]
