"""Config of the `generate` stage: how checkpoints answer benchmarks; a group of benchmarks shares a job."""

from unix_lib.config.jobs import BatchedExecution, JobShape
from unix_lib.config.kinds import JobKind
from unix_lib.config.pack import Language
from unix_lib.config.strict import StrictModel, key
from unix_lib.config.tokenize import Template

SAMPLING = "sampling.json"  # in a finished checkpoint's folder: how its experiment samples images


class ImageSampling(StrictModel):
    """How images are sampled from a checkpoint."""

    # PAPER: temperature, top-k, top-p and guidance as the authors sample.
    temperature: float = key("softmax temperature", 0.99, gt=0)
    top_k: int = key("codes kept; 0 keeps all", 4096, ge=0, le=1_000_000)
    top_p: float = key("probability mass kept", 0.96, gt=0, le=1)
    guidance_scale: float = key("s in u + s (c - u)", 4.0, ge=0)


class BenchmarkSampling(ImageSampling):
    """How a benchmark's images are sampled."""

    images_per_prompt: int = key("images a prompt", 4, ge=1, le=10_000)
    seed: int = key("seed of the samples", 218, ge=0, lt=2**32)


class Wording(StrictModel):
    """How a prompt is put: as the mixture that a run was trained on puts its documents."""

    template: Template = key("how turns are joined", "ours")
    language: Language = key("language of the instruction", "en")
    image_size: int | None = key("pixels of an image's side, where they are told", None)


class Worded(StrictModel):
    """Settings of a job that puts prompts to a checkpoint."""

    wording: Wording = key("how they are put, filled in by the plan", Wording(), sparse=True)


class DecodingExecution(BatchedExecution):
    """A job in which a checkpoint decodes; `batch_size` counts requests with guidance, others are twice as many."""

    batch_invariant: bool = key(
        "steps of a fixed number of rows, so that an answer's bits don't depend on its company", True, kind="numeric"
    )


class GenerateConfig(DecodingExecution):
    """How checkpoints answer benchmarks."""

    image_sampling: BenchmarkSampling = key("sampling of generated images", BenchmarkSampling())
    question_suffix: str = key("text that every question about an image ends with", "")
    max_answer_tokens: int = key("longest generated answer, tokens", 8, ge=1, le=100_000)
    job: JobShape = key("shape of a generation job", JobShape(threads=1, runtime_minutes=480), kind="operational")


class GroupSettings(StrictModel):
    """A job that loads a checkpoint once for several benchmarks; each of them is an artefact of its own."""

    run: str = key("name of the run")
    step: int = key("step of the checkpoint")
    group: str = key("name of the group")


GROUP = JobKind(GroupSettings, "unix_lib.generate.make:make_group", 1, DecodingExecution, makes="answers")
