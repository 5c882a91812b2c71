"""The scorer `image_distance`: how far images drawn of a source's captions are, all together, from its own images."""

import re
from typing import Literal

from unix_lib.benchmarks.settings import CaptionImages
from unix_lib.config.analyze import Inputs, Planned
from unix_lib.config.evaluate import ScorerKind, ScoringSettings
from unix_lib.config.generate import DecodingExecution, GenerateConfig
from unix_lib.config.jobs import BatchedExecution
from unix_lib.config.kinds import JobKind
from unix_lib.config.needs import Need, model_need
from unix_lib.config.own_benchmarks import OwnBenchmark, SplitOfSource
from unix_lib.config.strict import Model, key
from unix_lib.judges.pretrained import JudgeModel


class FeatureModel(JudgeModel):
    """Where the model is, with its own image processor."""

    @property
    def metric(self) -> str:
        """How distances by it begin: the model's name, words joined by underscores."""
        return re.sub(r"[^a-z0-9]+", "_", self.name.lower()).strip("_")


class Featured(SplitOfSource):
    """What is compared."""

    limit: int | None = key("at most this many captions, an image each", None)
    features: FeatureModel | None = key(
        "a vision model whose pooled features are compared; null compares plain statistics of pixels", None
    )


class DistanceScoring(Featured, ScoringSettings):
    """How images are compared."""


class ImageDistanceBenchmark(Featured, OwnBenchmark):
    """Images drawn of a source's captions, compared with its own as two sets."""

    scorer: Literal["image_distance"]
    limit: int | None = key("at most this many captions, an image each", 1000, ge=10, le=1_000_000)

    def judging_inputs(self, planned: Planned) -> Inputs:
        assert self.source is not None
        return self.inputs(planned) | {"images": planned.images(self.source)}

    def generation(self, model: type[Model], config: GenerateConfig) -> Model:
        one = config.image_sampling.model_copy(update={"images_per_prompt": 1})
        return self.narrowed(model, image_sampling=one)

    def needs(self, name: str) -> list[Need]:
        if self.features is None:
            return []
        return [model_need(f"benchmark {name}", self.features.path, self.features.revision)]


KIND = ScorerKind(
    settings=ImageDistanceBenchmark,
    family="generation",
    generate=JobKind(CaptionImages, "unix_lib.generate.benchmark_images:make_caption_images", 1, DecodingExecution),
    judging=JobKind(Featured, "unix_lib.evaluate.distance_judging:make_features", 2, BatchedExecution),
    score="unix_lib.evaluate.image_distance:score_distance",
    scoring=DistanceScoring,
    logic_version=2,
)
