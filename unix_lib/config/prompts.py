"""What a config says of a benchmark of prompts, which may be put in other words than its own."""

from pathlib import Path

from unix_lib.config.evaluate import BenchmarkFile, JudgedBenchmark
from unix_lib.config.generate import GenerateConfig
from unix_lib.config.strict import Model, key

PROMPTS = (
    "a file with the prompts in other words or another language: a prompt a line, or JSONL with 'prompt', in the order "
    "of the benchmark's own; of DPG-Bench JSONL with 'item_id' and 'prompt'"
)


class PromptBenchmark(JudgedBenchmark):
    """The config of a benchmark of prompts, which may be put in other words than its own."""

    prompts: str | None = key(PROMPTS, None, min_length=1)

    def files_from_outside(self) -> list[str]:
        return super().files_from_outside() + ([] if self.prompts is None else [self.prompts])

    def generation(self, model: type[Model], config: GenerateConfig) -> Model:
        return self.narrowed(model, image_sampling=config.image_sampling)


class PromptFiles(BenchmarkFile):
    """Prompts, which may be put in other words than the benchmark's own."""

    prompts: str | None = key(PROMPTS, None, sparse=True)

    def files(self) -> list[Path]:
        return super().files() + ([] if self.prompts is None else [Path(self.prompts)])

    @property
    def reworded(self) -> str:
        """What a protocol says of prompts in other words: their scores compare with their like only."""
        return "" if self.prompts is None else ", reworded prompts"
