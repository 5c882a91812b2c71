"""A segment under the Hugging Face Trainer with DeepSpeed.

The Trainer runs the loop and DeepSpeed the optimizer; three things are ours, because exact resumption depends on them:
the order of packs (`PackStream`), the schedule (a function of the step) and the states (`unix_lib.train.state`).
The Trainer's own resuming, saving, evaluating and logging are switched off.

The loss of a step is the mean over all its targets, on whatever process and in whatever micro-batch they are.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, PrinterCallback, Trainer, TrainingArguments

from unix_lib.config.train import CheckpointSettings, Optimization, TrainExecution
from unix_lib.models.routing import Batch, move_batch
from unix_lib.train.heldout import loss_sums
from unix_lib.train.schedule import learning_rate_factor
from unix_lib.train.stream import MicroBatch, PackStream


def deepspeed_config(execution: TrainExecution, accumulation: int, gradient_clip: float) -> dict[str, Any]:
    """DeepSpeed's config; the optimizer is plain AdamW and comes from the Trainer."""
    return {
        "train_micro_batch_size_per_gpu": execution.micro_batch,
        "gradient_accumulation_steps": accumulation,
        "gradient_clipping": gradient_clip,
        "zero_optimization": {
            "stage": execution.zero_stage,
            "stage3_gather_16bit_weights_on_model_save": True,
        },
        "bf16": {"enabled": execution.precision == "bfloat16"},
        "zero_allow_untested_optimizer": True,
        "steps_per_print": 10**9,
        "wall_clock_breakdown": False,
    }


def training_arguments(
    settings: CheckpointSettings, execution: TrainExecution, accumulation: int, scratch: Path
) -> TrainingArguments:
    """The Trainer's arguments for a segment.

    Args:
        accumulation: forward passes of a process in a step.
        scratch: a folder the Trainer asks for and never writes.
    """
    optimization = settings.optimization
    return TrainingArguments(
        output_dir=str(scratch),
        max_steps=settings.step,
        per_device_train_batch_size=execution.micro_batch,
        gradient_accumulation_steps=accumulation,
        learning_rate=optimization.learning_rate,
        weight_decay=optimization.weight_decay,
        adam_beta2=optimization.beta2,
        max_grad_norm=optimization.gradient_clip,
        optim="adamw_torch",
        bf16=execution.precision == "bfloat16",
        use_cpu=execution.job.gpus == 0,
        seed=settings.seed,
        deepspeed=deepspeed_config(execution, accumulation, optimization.gradient_clip),
        save_strategy="no",
        eval_strategy="no",
        logging_strategy="no",
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
    )


class SegmentTrainer(Trainer):
    """The Trainer fed from a `PackStream`, normalising the loss over a whole step and counting what it saw."""

    def __init__(
        self,
        model: PreTrainedModel,
        arguments: TrainingArguments,
        stream: PackStream,
        optimization: Optimization,
    ) -> None:
        super().__init__(model=model, args=arguments)
        self.remove_callback(PrinterCallback)
        self.stream, self.optimization = stream, optimization
        self.counts = torch.zeros(5, dtype=torch.float64, device=self.args.device)

    @property
    def engine(self) -> Any:
        """DeepSpeed's engine, once training has begun."""
        return self.model_wrapped

    def factor(self, step: int) -> float:
        """Share of the peak learning rate at a step of the whole run."""
        return learning_rate_factor(step, self.optimization)

    def learning_rate_at(self, step: int) -> float:
        """Learning rate of the step that follows `step` steps."""
        return self.optimization.learning_rate * self.factor(step)

    def optimized_names(self) -> list[str]:
        """Names of the trained parameters in the order of the optimizer's groups: those that decay first."""
        assert self.model is not None
        decaying = set(self.get_decay_parameter_names(self.model))
        trained = [name for name, parameter in self.model.named_parameters() if parameter.requires_grad]
        return sorted(trained, key=lambda name: name not in decaying)

    def keep_gradient_norm(self) -> None:
        """Without ZeRO, DeepSpeed clips and forgets the norm; keep it for the log."""
        engine = self.engine
        if engine.zero_optimization():
            return

        def clip() -> None:
            engine._global_grad_norm = torch.nn.utils.clip_grad_norm_(
                engine.module.parameters(), engine.gradient_clipping()
            )

        engine.clip_fp32_gradients = clip

    def gradient_norm(self) -> float | None:
        """Norm of the last step's gradient before clipping."""
        norm = self.engine.get_global_grad_norm()
        return None if norm is None else float(norm)

    def weights(self) -> dict[str, Tensor] | None:
        """A copy of the weights on the CPU, tied ones once; None on other processes than the first.

        Called on all processes together: under ZeRO 3 each holds a part.
        """
        whole: dict[str, Tensor] = dict(self.model.named_parameters())  # type: ignore[union-attr]
        if self.engine.zero_optimization_partition_weights():
            gathered = self.engine._zero3_consolidated_16bit_state_dict() or {}
            whole = {name: value for name, value in gathered.items() if name in whole}
        if not self.is_world_process_zero():
            return None
        return {name: value.detach().cpu().clone() for name, value in whole.items()}

    def get_train_dataloader(self) -> DataLoader[Any]:
        """The stream: an iterable without length, so the Trainer neither shuffles, shards nor skips."""
        return self.stream  # type: ignore[return-value]

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> LambdaLR:
        """The schedule over the run's steps; `num_training_steps` would be the segment's."""
        if self.lr_scheduler is None:
            self.lr_scheduler = LambdaLR(optimizer or self.optimizer, self.factor)  # type: ignore[arg-type]
            self._created_lr_scheduler = True
        return self.lr_scheduler

    def set_step(self, step: int) -> None:
        """Continue counting, and the schedule, at a step of the whole run."""
        assert self.lr_scheduler is not None and self.optimizer is not None
        self.state.global_step = step
        self.lr_scheduler.last_epoch = step
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate_at(step)

    def get_batch_samples(
        self, epoch_iterator: Iterator[MicroBatch], num_batches: int, device: torch.device
    ) -> tuple[list[Batch], Tensor | None]:
        """One step's micro-batches of this process, and the number of the step's targets on all processes."""
        batches = [batch for _, batch in zip(range(num_batches), epoch_iterator, strict=False)]
        if not batches:
            return [], None
        targets = torch.tensor(float(sum(len(batch.inputs["targets"]) for batch in batches)), device=device)
        if self.args.world_size > 1:
            torch.distributed.all_reduce(targets)
        self.counts[4] += sum(batch.tokens for batch in batches)
        return [batch.inputs for batch in batches], targets.clamp(min=1.0)

    def _prepare_inputs(self, inputs: Batch) -> Batch:
        return move_batch(inputs, self.args.device)

    def compute_loss(
        self,
        model: Any,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """This micro-batch's share of the step's loss; its sums per modality are counted."""
        output = model(**inputs, num_items_in_batch=num_items_in_batch)
        self.counts[:4] += loss_sums(output)
        # DeepSpeed averages gradients over processes, hence the factor. It must make a new tensor even for one process:
        # DeepSpeed 0.19 divides the gradient of a tensor that forward itself returned by the accumulation steps.
        loss = output.loss * self.args.world_size
        return (loss, output) if return_outputs else loss

    def floating_point_ops(self, inputs: Batch) -> int:
        """Not counted: the Trainer would walk all modules in each forward pass."""
        return 0

    def take_counts(self, *signals: float) -> list[float]:
        """Sums since the last call over all processes, and the sum of each signal; the step's one synchronisation.

        Returns:
            summed loss of text and of image targets, their numbers, real tokens, then the signals.
        """
        values = torch.cat([self.counts, self.counts.new_tensor(signals)])
        self.counts.zero_()
        if self.args.world_size > 1:
            torch.distributed.all_reduce(values)
        return values.tolist()
