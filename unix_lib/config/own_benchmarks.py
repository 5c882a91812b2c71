"""What a config says of a benchmark that is made of a source's captioned images."""

from collections.abc import Collection, Iterator
from typing import ClassVar, Literal

from unix_lib.config.analyze import Inputs, Planned
from unix_lib.config.evaluate import BenchmarkSettings
from unix_lib.config.strict import StrictModel, key


class SplitOfSource(StrictModel):
    """Which images of a source a benchmark is about."""

    split: Literal["heldout", "all"] = key("heldout, or all images of a source that no run is trained on", "heldout")


class OwnBenchmark(SplitOfSource, BenchmarkSettings):
    """The config of a benchmark that is made of a source's captioned images."""

    of_records: ClassVar[bool] = True

    def origins(self) -> dict[str, str | None]:
        return {"source": self.source}

    def made(self) -> str:
        return ""  # by no source: it is made of records

    def inputs(self, planned: Planned) -> Inputs:
        assert self.source is not None
        return {"records": planned.records(self.source)}

    def faults(self, captioned: Collection[str], trained: Collection[str]) -> Iterator[str]:
        if self.file is not None:
            yield f"file: '{self.file}' is a source's to read; name a source of these images as 'source'"
        if self.source not in captioned:
            yield f"source: '{self.source}' has no images with captions; known with: {', '.join(captioned) or 'none'}"
        elif self.split == "all" and self.source in trained:
            yield f"split: runs are trained on '{self.source}'; set it to heldout"
