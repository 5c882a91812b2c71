"""Config of `unix-lib fetch`: files to download before jobs run offline."""

from unix_lib.config.strict import StrictModel, key


class FetchedFile(StrictModel):
    """One file at a fixed address, known by its hash."""

    path: str = key("where it is kept, relative to the project's root", min_length=1)
    url: str = key("address it is downloaded from", pattern=r"^https?://")
    sha256: str = key("SHA-256 of the file, hexadecimal", pattern=r"^[0-9a-f]{64}$")
    licence: str = key("its licence, shown by doctor and fetch")
    megabytes: float | None = key("its size, MB, shown by doctor", None, ge=0)


class FetchedRepository(StrictModel):
    """A repository of the Hugging Face hub at a pinned revision."""

    repository: str = key("owner/name on the hub")
    revision: str = key("commit of the repository, 40 hexadecimal digits", pattern=r"^[0-9a-f]{40}$")
    type: str = key("model or dataset", "dataset", pattern="^(model|dataset)$")
    folder: str | None = key(
        "folder it is copied to, relative to the project's root; null keeps it in the hub's cache", None
    )
    patterns: list[str] = key("files taken, as glob patterns; empty takes all", [])
    licence: str = key("its licence, shown by doctor and fetch")
    megabytes: float | None = key("its size, MB, shown by doctor", None, ge=0)


class FetchConfig(StrictModel):
    """Everything an experiment needs from outside, beside the pretrained models that its other sections name."""

    files: list[FetchedFile] = key("single files", [])
    repositories: list[FetchedRepository] = key("hub repositories", [])
