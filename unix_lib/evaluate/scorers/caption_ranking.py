"""The scorer `caption_ranking`: is an image's own caption more probable than those of other images of its source?"""

from collections.abc import Mapping
from typing import Any, Literal

from unix_lib.benchmarks.settings import RankingSettings
from unix_lib.config.analyze import Inputs, Planned
from unix_lib.config.evaluate import JudgeSettings, ScorerKind, ScoringSettings
from unix_lib.config.generate import DecodingExecution, GenerateConfig
from unix_lib.config.kinds import JobKind
from unix_lib.config.own_benchmarks import OwnBenchmark
from unix_lib.config.strict import key


class CaptionRankingBenchmark(OwnBenchmark):
    """Captions of a source's images, each among some of other images; chance is 1 / candidates."""

    scorer: Literal["caption_ranking"]
    limit: int | None = key("at most this many images, a sample that nobody picked", 500, ge=1, le=1_000_000_000)
    candidates: int = key("captions of which one is the image's own", 4, ge=2, le=1000)
    seed: int = key("seed of the other captions", 218, ge=0, lt=2**64)

    def inputs(self, planned: Planned) -> Inputs:
        assert self.source is not None
        return super().inputs(planned) | {"codes": planned.codes(self.source)}

    def scored_by(self, generate: GenerateConfig, judges: Mapping[str, JudgeSettings]) -> dict[str, Any]:
        return super().scored_by(generate, judges) | {"chance": 1 / self.candidates}


KIND = ScorerKind(
    settings=CaptionRankingBenchmark,
    family="understanding",
    generate=JobKind(RankingSettings, "unix_lib.generate.caption_rankings:make_rankings", 1, DecodingExecution),
    score="unix_lib.evaluate.caption_ranking:score_rankings",
    scoring=ScoringSettings,
    logic_version=1,
    has_images=False,  # they are encoded already
)
