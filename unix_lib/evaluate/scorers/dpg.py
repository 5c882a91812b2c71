"""The scorer `dpg`: images generated from DPG-Bench's prompts, about which a judge answers questions."""

from typing import Literal

from unix_lib.benchmarks.settings import ImageSettings
from unix_lib.config.evaluate import Judged, JudgedBatches, ScorerKind, ScoringSettings
from unix_lib.config.generate import DecodingExecution
from unix_lib.config.kinds import JobKind
from unix_lib.config.prompts import PromptBenchmark, PromptFiles


class DPGScoring(Judged, PromptFiles, ScoringSettings):
    """How images are judged."""


class DPGJudging(Judged, PromptFiles):
    """What a judge's answers about a checkpoint's images depend on."""


class DPGBenchmark(PromptBenchmark):
    """Generated images that must show all that a long prompt says."""

    scorer: Literal["dpg"]

    asks = "question"

    def made(self) -> str:
        return "dpg"


KIND = ScorerKind(
    settings=DPGBenchmark,
    family="generation",
    generate=JobKind(ImageSettings, "unix_lib.generate.benchmark_images:make_dpg_images", 1, DecodingExecution),
    judging=JobKind(DPGJudging, "unix_lib.evaluate.dpg_judging:make_judging", 1, JudgedBatches),
    score="unix_lib.evaluate.dpg:score_dpg",
    scoring=DPGScoring,
    logic_version=1,
    asks_endpoints=True,
    layout="unix_lib.evaluate.layouts:write_dpg",
)
