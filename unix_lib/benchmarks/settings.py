"""Settings of the jobs in which a checkpoint answers a benchmark."""

from typing import Literal

from unix_lib.config.evaluate import BenchmarkFile
from unix_lib.config.generate import BenchmarkSampling, Worded
from unix_lib.config.own_benchmarks import SplitOfSource
from unix_lib.config.prompts import PromptFiles
from unix_lib.config.strict import key

Layout = Literal["pope", "mme", "mmbench", "seed"]


class AskedSettings(BenchmarkFile):
    """Which samples of which file a checkpoint is asked."""


class AnswerSettings(AskedSettings, Worded):
    """Questions about images, and how they are asked."""

    layout: Layout = key("TSV layout")
    max_answer_tokens: int = key("longest generated answer, tokens")
    question_suffix: str = key("text that every question ends with")


class ImageSettings(PromptFiles, AskedSettings, Worded):
    """Prompts of images, and how images are sampled; a limit takes the tasks in turn."""

    image_sampling: BenchmarkSampling = key("sampling of the images")

    def work(self) -> float:
        """Images a prompt."""
        return self.image_sampling.images_per_prompt


class CaptionImages(SplitOfSource, Worded):
    """Captions of a source that are drawn."""

    limit: int | None = key("at most this many captions, an image each")
    image_sampling: BenchmarkSampling = key("sampling of the images")

    def work(self) -> float:
        """Images."""
        return float(self.limit or 1)


class RankingSettings(SplitOfSource, Worded):
    """Captions of images that are ranked by their likelihood."""

    limit: int | None = key("at most this many images")
    candidates: int = key("captions of which one is the image's own")
    seed: int = key("seed of the other captions")


class LikelihoodSettings(AskedSettings):
    """Requests of lm-eval: log-likelihoods of choices."""

    task: str | None = key("an lm-eval task by name", None)
