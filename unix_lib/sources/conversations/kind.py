"""The kind of source `conversations`: OpenOrca, ShareGPT, Alpaca, and chat `messages`."""

from typing import Literal

from unix_lib.config.kinds import JobKind
from unix_lib.config.row_files import PlannedRows, RowFiles, RowSelection, RowSource
from unix_lib.config.sources import SourceKind
from unix_lib.config.strict import StrictModel, key

Layout = Literal["messages", "sharegpt", "openorca", "alpaca"]


class ConversationColumns(StrictModel):
    """What the files call the columns of the layouts."""

    messages: str = key("layout messages: list of {role, content}", "messages")
    conversations: str = key("layout sharegpt: list of {from, value}", "conversations")
    system_prompt: str = key("layout openorca: how the assistant is to answer; may be missing", "system_prompt")
    question: str = key("layout openorca: what the user asks", "question")
    response: str = key("layout openorca: the answer", "response")
    instruction: str = key("layout alpaca: what the user asks for", "instruction")
    input: str = key("layout alpaca: what the instruction is about; may be missing", "input")
    output: str = key("layout alpaca: the answer", "output")


class ConversationRows(RowFiles, RowSelection):
    """Which rows are read, and how."""

    layout: Literal["auto", Layout] = key("layout of the rows; auto tells it from each row's columns", "auto")
    columns: ConversationColumns = key("what the files call the layouts' columns", ConversationColumns())


class PlannedConversations(ConversationRows, PlannedRows):
    """The job of one part of the files."""

    def work(self) -> float:
        """Kilobytes."""
        assert self.identity is not None
        return self.identity.bytes / 1000


class ConversationsSource(ConversationRows, RowSource):
    """Conversations of a user and an assistant, in tables of a user's or of a data set of the hub.

    Layouts: `messages` [{role, content}], `conversations` [{from, value}] (ShareGPT), system_prompt, question, response
    (OpenOrca), instruction, input, output (Alpaca).
    """

    kind: Literal["conversations"]


KIND = SourceKind(
    settings=ConversationsSource,
    records=JobKind(PlannedConversations, "unix_lib.sources.conversations.make:make_records", 1),
    sharded=("records",),
)
