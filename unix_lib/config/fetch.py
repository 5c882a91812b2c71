"""Config of `unix-lib fetch`: files to download before jobs run offline."""

from unix_lib.config.hub import FetchedRepository
from unix_lib.config.strict import StrictModel, key


class FetchedFile(StrictModel):
    """One file at a fixed address, known by its hash."""

    path: str = key("where it is kept, relative to the project's root", min_length=1)
    url: str = key("address it is downloaded from", pattern=r"^https?://")
    sha256: str = key("SHA-256 of the file, hexadecimal", pattern=r"^[0-9a-f]{64}$")
    licence: str = key("its licence, shown by doctor and fetch")
    megabytes: float | None = key("its size, MB, shown by doctor", None, ge=0)


class FetchConfig(StrictModel):
    """Everything an experiment needs from outside, beside the pretrained models that its other sections name."""

    files: list[FetchedFile] = key("single files", [])
    repositories: list[FetchedRepository] = key("hub repositories", [])
