"""Cuts a record's text where training begins or ends, and says why a record can't be tokenized."""

from collections.abc import Iterator, Sequence

from unix_lib.config.tokenize import Template
from unix_lib.records.schema import CONVERSATION, IMAGE_TEXT, ROLES, TEXT, Row

Pieces = list[tuple[str, bool]]  # texts, and whether each may be trained


def pieces_of(row: Row, template: Template) -> Pieces:
    """The texts of a record without faults, which are tokenized apart."""
    if row["kind"] == CONVERSATION:
        return conversation_pieces(row["messages"], template)
    if row["text"] is None:  # an image alone
        return []
    return [(row["text"] if row["kind"] == TEXT else row["text"].strip(), True)]


def conversation_pieces(messages: Sequence[dict[str, str]], template: Template = "ours") -> Pieces:
    """A conversation cut where training begins or ends: (text, trained) in order.

    In our template a newline ends what the user or the system says, and <|endoftext|>, which tokenizing puts behind
    every answer, ends an answer. In the published one each turn is a piece. Turns behind the last answer are left out:
    nothing in them is trained.
    """
    pieces: Pieces = []
    prompts: Pieces = []
    for message in messages:
        content = message["content"].strip()
        if message["role"] != "assistant":
            prompts.append((content, False))
            continue
        if template == "ours" and prompts:
            prompts = [("".join(f"{prompt}\n" for prompt, _ in prompts), False)]
        pieces += [*prompts, (content, True)]
        prompts = []
    return pieces


def faults_of(row: Row) -> Iterator[tuple[str, str]]:
    """What keeps a record from becoming a document, whatever becomes of its images: (reason, detail)."""
    kind, images = row["kind"], row["image_ids"] or []
    if kind not in (TEXT, IMAGE_TEXT, CONVERSATION):
        yield "unknown_kind", f"kind '{kind}'; known: {TEXT}, {IMAGE_TEXT}, {CONVERSATION}"
    if kind == IMAGE_TEXT and not images:
        yield "no_image_codes", f"an {IMAGE_TEXT} record without image"
    if kind == IMAGE_TEXT and len(images) > 1:
        yield "several_images", f"an {IMAGE_TEXT} record shows one image, this one {len(images)}"
    if kind == CONVERSATION:
        messages = row["messages"] or []
        for message in messages:
            if message["role"] not in ROLES:
                yield "unknown_role", f"role '{message['role']}'; known: {', '.join(ROLES)}"
            if not (message["content"] or "").strip():
                yield "empty_turn", f"a turn of the {message['role']} without text"
        if not any(message["role"] == "assistant" for message in messages):
            yield "no_assistant_turn", f"{len(messages)} turns, none of the assistant"
    elif not (row["text"] or "").strip() and not (kind == IMAGE_TEXT and row["text"] is None):
        yield "empty_text", f"a record of kind {kind} without text"
