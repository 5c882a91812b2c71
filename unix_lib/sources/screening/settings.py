"""What a config says of screening, and the two jobs of it: hashes, part by part, and what they say of all parts."""

from pathlib import Path

from unix_lib.config.kinds import JobKind
from unix_lib.config.outside import FilesIdentity, Outside, ReadsOutside
from unix_lib.config.sources import SourcePlanning, SourceSettings
from unix_lib.config.strict import Model, StrictModel, key
from unix_lib.images.alike import MOST_BITS_APART


class ScreeningSettings(StrictModel):
    """Which images are set aside for what they look like."""

    distance: int = key(
        "pictures look alike whose hashes differ in at most so many of 64 bits", 6, ge=0, le=MOST_BITS_APART
    )
    near_duplicates: bool = key("of images of the source that look alike, only the first stays", True)
    benchmarks: bool = key("an image that looks like one in a file of the config's benchmarks does not stay", True)


class ScreenedSource(SourceSettings):
    """A source whose images can be screened."""

    screening: ScreeningSettings | None = key(
        "sets images aside that look like others; null keeps all", None, sparse=True
    )

    def makes(self, job: str) -> bool:
        return super().makes(job) and (job not in ("hashes", "screening") or self.screening is not None)

    def settings_of(self, model: type[Model], planning: SourcePlanning) -> Model:
        if issubclass(model, PlannedScreening):
            assert self.screening is not None
            files = planning.benchmark_files if self.screening.benchmarks else {}
            return self.screening.narrowed(model, benchmark_files=files)
        return super().settings_of(model, planning)


class HashSettings(StrictModel):
    """Hashes depend on the images alone."""


class PlannedScreening(ScreeningSettings, ReadsOutside):
    """The job that compares all hashes of a source."""

    benchmark_files: dict[str, str] = key("files of questions about images, with their layouts")

    named_by = "benchmark_files"

    def identify(self, outside: Outside) -> FilesIdentity | None:
        return outside.files(map(Path, sorted(self.benchmark_files))) if self.benchmark_files else None


HASHES = JobKind(HashSettings, "unix_lib.sources.screening.hashes:make_hashes", 1)
SCREENING = JobKind(PlannedScreening, "unix_lib.sources.screening.screen:make_screening", 1)
SCREENED_READS = {"hashes": ("images",), "screening": ("hashes",), "records": ("images", "screening")}
