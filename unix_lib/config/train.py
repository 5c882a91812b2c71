"""Config of the `train` stage: runs, their checkpoints and the optimizer."""

from typing import Any, Literal

from pydantic import model_validator

from unix_lib.config.checkpoints import MOST_STEPS, Checkpoints, steps_of
from unix_lib.config.jobs import Execution, JobShape
from unix_lib.config.kinds import JobKind
from unix_lib.config.models import PlanConfig, StartConfig
from unix_lib.config.strict import StrictModel, key
from unix_lib.config.trackers import Tracking


class Optimization(StrictModel):
    """AdamW and its schedule."""

    total_steps: int = key("optimizer steps of the schedule", ge=1, le=MOST_STEPS)
    packs_per_step: int = key("packs per optimizer step over all processes", 2, ge=1, le=1_000_000)
    learning_rate: float = key("peak learning rate", 1e-3, gt=0)
    schedule: Literal["linear", "cosine", "constant"] = key("after warm-up", "linear")
    warmup_ratio: float = key("share of total_steps spent warming up", 0.1, ge=0, lt=1)
    weight_decay: float = key("AdamW weight decay", 0.0, ge=0)
    beta2: float = key("AdamW second-moment decay", 0.999, gt=0, lt=1)
    gradient_clip: float = key("largest global gradient norm", 1.0, gt=0)


class RunSettings(StrictModel):
    """What decides a run's weights: an architecture, where it starts, what it is trained on and how."""

    plan: PlanConfig = key("table of layer plans")
    start: StartConfig = key("where the weights come from")
    vision_start: Literal["copy", "fresh"] = key("vision weights begin as copies of the text layer's, or fresh", "copy")
    freeze: list[str] = key(
        "tensors that are not trained: patterns of their names, such as 'model.layers.*.mlp.*'", [], sparse=True
    )
    mixture: str = key("name of a mixture")
    optimization: Optimization
    keep_best_every: int | None = key(
        "measure the held-out loss every this many steps, stop when it rises, keep the best weights",
        None,
        ge=1,
        le=MOST_STEPS,
    )
    seed: int = key("seed of new weights and of the order of packs", 218, ge=0, lt=2**32)


class Run(RunSettings):
    """One training run, cut into segments at its checkpoints."""

    checkpoints: Checkpoints = key(
        "steps at which a checkpoint is kept, or shares of total_steps such as 25%, or {every: 5%}; 0 is the "
        "initialised model",
        kind="operational",
        min_length=1,
    )
    compare: bool = key("one of the compared architectures; false for a base run", True, kind="operational")

    @model_validator(mode="before")
    @classmethod
    def _shares_are_steps(cls, values: Any) -> Any:
        match values:
            case {"checkpoints": given, "optimization": {"total_steps": int(total)}} if total > 0:
                return values | {"checkpoints": steps_of(given, total)}
        return values

    @model_validator(mode="after")
    def _steps_fit(self) -> "Run":
        steps = self.checkpoints
        if sorted(set(steps)) != steps:
            raise ValueError(f"checkpoints {steps} must rise")
        if steps[-1] > self.optimization.total_steps:
            raise ValueError(f"checkpoint {steps[-1]} lies after total_steps {self.optimization.total_steps}")
        if self.keep_best_every is not None and [s for s in steps if s] != [self.optimization.total_steps]:
            raise ValueError("a run with keep_best_every has one checkpoint, at total_steps")
        return self


class TrainExecution(Execution):
    """How a run is computed."""

    micro_batch: int = key("packs a process takes at a time", 1, kind="numeric", ge=1, le=100_000)
    zero_stage: Literal[0, 1, 2, 3] = key("DeepSpeed ZeRO stage", 0, kind="numeric")
    precision: Literal["float32", "bfloat16"] = key(
        "precision of the forward and backward pass", "float32", kind="numeric"
    )
    attention: Literal["sdpa", "flash_attention_2", "flex_attention"] = key(
        "attention kernels: PyTorch's on any device; flash-attn (bfloat16) and FlexAttention on GPUs",
        "sdpa",
        kind="numeric",
    )
    gradient_checkpointing: bool = key("recompute activations in the backward pass", False, kind="numeric")
    save_seconds: int = key(
        "seconds between the saves that a killed job resumes from; 0 begins one as soon as the one before is written",
        60,
        kind="operational",
        ge=0,
        le=604_800,
    )
    keep_states: int | None = key(
        "checkpoints whose training state is kept, counted from the newest; earlier states go as soon as no planned "
        "checkpoint starts from them, their models stay; null keeps all",
        None,
        kind="operational",
        ge=1,
        le=100_000,
    )
    log_steps: int = key("steps between two log lines", 10, kind="operational", ge=1, le=MOST_STEPS)
    tracking: Tracking = key("services that show the curves of the runs", Tracking(), kind="operational")
    job: JobShape = key("shape of a training job", JobShape(threads=1, runtime_minutes=720), kind="operational")

    @model_validator(mode="after")
    def _attention_runs_here(self) -> "TrainExecution":
        if self.attention != "sdpa" and not self.job.gpus:
            raise ValueError(f"attention '{self.attention}' trains on GPUs only and job.gpus is 0; set attention: sdpa")
        if self.attention == "flash_attention_2" and self.precision != "bfloat16":
            raise ValueError("attention 'flash_attention_2' needs precision: bfloat16, or set attention: sdpa")
        return self

    @model_validator(mode="after")
    def _small_updates_are_kept(self) -> "TrainExecution":
        if self.precision == "bfloat16" and not self.zero_stage:
            # DeepSpeed 0.19 keeps float32 weights beside the bfloat16 ones only under ZeRO.
            raise ValueError(
                "zero_stage 0 with precision bfloat16 would lose small updates of the weights; set zero_stage: 1 or "
                "higher, or precision: float32"
            )
        return self


class TrainConfig(TrainExecution):
    """All runs, and how they are computed."""

    runs: dict[str, Run] = key("runs by name", min_length=1)

    @model_validator(mode="after")
    def _packs_are_dealt_evenly(self) -> "TrainConfig":
        share = self.job.world_size * self.micro_batch
        for name, run in self.runs.items():
            if run.optimization.packs_per_step % share:
                raise ValueError(
                    f"runs.{name}.optimization.packs_per_step {run.optimization.packs_per_step} can't be dealt evenly "
                    f"to {self.job.world_size} process(es) of micro_batch {self.micro_batch}; make it a multiple of "
                    f"{share}, or lower micro_batch, job.nodes or job.gpus"
                )
        return self


class CheckpointSettings(RunSettings):
    """What one checkpoint depends on."""

    run: str = key("name of the run")
    run_digest: str = key("what all checkpoints of the run share; a later segment finds its predecessors by it")
    step: int = key("optimizer steps behind it", ge=0)


def run_folder_name(run: str, run_digest: str) -> str:
    """What the folder of a run's saves is called, below `work/train`."""
    return f"{run}-{run_digest[:12]}"


CHECKPOINT = JobKind(
    CheckpointSettings,
    "unix_lib.train.make:make_checkpoint",
    1,
    TrainExecution,
    reads_when_it_says=True,  # a resumed segment reads nothing of the model that the run began with
)
