"""Config of models that no run of this project trained: imported from somebody's files, or behind an address."""

from pathlib import Path
from typing import Any

from unix_lib.config.endpoints import Patience
from unix_lib.config.generate import Worded
from unix_lib.config.jobs import Execution
from unix_lib.config.kinds import JobKind
from unix_lib.config.outside import FilesIdentity, Outside, ReadsOutside
from unix_lib.config.strict import StrictModel, key

NAME = r"^[a-z0-9][a-z0-9._-]*$"  # of an artefact
NAMED = "what it is called: small letters, digits, and . _ -"


class ImportedSettings(Worded, ReadsOutside):
    """A checkpoint in somebody's folder, which is brought into this project's layout."""

    path: str = key("folder with config.json, weights and tokenizer")
    name: str = key(NAMED, pattern=NAME)

    def identify(self, outside: Outside) -> FilesIdentity | None:
        return outside.files([Path(self.path)])


class EndpointSettings(StrictModel):
    """A model behind an OpenAI-compatible address; another address, name or version is another model."""

    name: str = key(NAMED, pattern=NAME)
    url: str | None = key("address, up to and with /v1; null is a server of the checkpoint that it builds on", None)
    model: str = key("name that requests give; empty takes the first that the address lists", "")
    version: str = key("what you call this state of it; a changed one is asked anew", "")
    parameters: dict[str, Any] = key("what else stands in every request", {})
    tells_sampling: bool = key("requests for images say seed, temperature, top-k, top-p and guidance", True)


class AskingExecution(Execution, Patience):
    """How an endpoint is asked; none of it changes an answer."""

    url: str | None = key("where the server of a checkpoint listens", None, kind="operational")
    concurrency: int = key("requests under way at a time", 16, kind="operational", ge=1, le=4096)


IMPORTED = JobKind(ImportedSettings, "unix_lib.checkpoints.imported:make_imported", 1)
ENDPOINT = JobKind(EndpointSettings, "unix_lib.checkpoints.behind_endpoint:make_endpoint", 1)
