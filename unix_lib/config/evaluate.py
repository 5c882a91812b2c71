"""Config of the `evaluate` stage: benchmarks, their groups, and how answers and images are sampled."""

from typing import Literal

from pydantic import model_validator

from unix_lib.config.jobs import JobShape
from unix_lib.config.strict import StrictModel, key

Scorer = Literal["lm_eval", "yes_no", "multiple_choice", "geneval"]
LAYOUTS = {"yes_no": ("pope", "mme"), "multiple_choice": ("mmbench", "seed")}


class Benchmark(StrictModel):
    """One benchmark: a scorer and the file, source or lm-eval task that it scores on."""

    scorer: Scorer = key("which scorer")
    source: str | None = key("a source of this experiment that makes the benchmark's file", None)
    file: str | None = key("a fetched file in the benchmark's own layout", None)
    task: str | None = key("an lm-eval task by name (scorer: lm_eval)", None)
    layout: Literal["pope", "mme", "mmbench", "seed"] | None = key("TSV layout (yes_no, multiple_choice)", None)
    chance: float = key("score of a blind guesser, 0..1", 0.0, ge=0, le=1)
    limit: int | None = key("score only the first this many samples", None, ge=1)

    @model_validator(mode="after")
    def _one_origin(self) -> "Benchmark":
        given = [name for name in ("source", "file", "task") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of 'source', 'file' and 'task', not {given or 'none'}")
        if self.task is not None and self.scorer != "lm_eval":
            raise ValueError(f"'task' goes with scorer lm_eval, not {self.scorer}")
        if (self.layout is None) == (self.scorer in ("yes_no", "multiple_choice")):
            raise ValueError("'layout' goes with the scorers yes_no and multiple_choice, and only with them")
        if self.layout is not None and self.layout not in LAYOUTS[self.scorer]:
            known = ", ".join(LAYOUTS[self.scorer])
            raise ValueError(f"scorer {self.scorer} knows the layouts {known}, not {self.layout}")
        if self.scorer == "geneval" and self.source is None:
            raise ValueError(
                "scorer geneval needs 'source', a source of kind shapes: the judge of GenEval's own prompts "
                "(Mask2Former and CLIP) is not in this version"
            )
        return self


class ImageSampling(StrictModel):
    """How images are generated."""

    # PAPER: temperature, top-k, top-p and guidance as the authors sample.
    temperature: float = key("softmax temperature", 0.99, gt=0)
    top_k: int = key("codes kept; 0 keeps all", 4096, ge=0)
    top_p: float = key("probability mass kept", 0.96, gt=0, le=1)
    guidance_scale: float = key("s in u + s (c - u)", 4.0, ge=0)
    images_per_prompt: int = key("images a prompt", 4, ge=1)
    seed: int = key("seed of the samples", 218, ge=0)


class EvaluateConfig(StrictModel):
    """Which benchmarks are run on each checkpoint, in which groups."""

    benchmarks: dict[str, Benchmark] = key("benchmarks by name", min_length=1)
    groups: dict[str, list[str]] = key("benchmarks that one job evaluates together, by group name", min_length=1)
    image_sampling: ImageSampling = key("sampling of generated images", ImageSampling())
    question_suffix: str = key("text that every question about an image ends with", "")
    max_answer_tokens: int = key("longest generated answer, tokens", 8, ge=1)
    bootstrap_samples: int = key("resamples behind a bootstrap interval", 2000, ge=100)
    batch_size: int = key("sequences decoded together", 64, kind="numeric", ge=1)
    job: JobShape = key("shape of an evaluation job", JobShape(threads=1, runtime_minutes=480), kind="operational")

    @model_validator(mode="after")
    def _groups_fit(self) -> "EvaluateConfig":
        grouped = [name for names in self.groups.values() for name in names]
        for name in grouped:
            if name not in self.benchmarks:
                raise ValueError(f"group names benchmark '{name}', which 'benchmarks' does not define")
            if grouped.count(name) > 1:
                raise ValueError(f"benchmark '{name}' is in two groups; keep it in one")
        missing = sorted(set(self.benchmarks) - set(grouped))
        if missing:
            raise ValueError(f"benchmark '{missing[0]}' is in no group; add it to one")
        return self
