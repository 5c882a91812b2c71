"""Training a small VQGAN: images in, encoder, codebook and decoder out.

The loss is L1 + L2 reconstruction plus commitment. There is no adversarial and no perceptual (LPIPS) loss, which the
published VQGANs have: on flat shapes and digits of 32 pixels they would buy little for several times the compute, and
LPIPS needs a downloaded network. Expect blur on photographs.

The first steps run without quantization; then the codebook starts from k-means over the latents (`vqgan_codebook`).
Everything random follows from (seed, step), so a resumed run equals an undisturbed one bit for bit: the state is the
step, the weights, the optimizer's moments and the codebook's averages.

Shapes: N images, B batch, S pixels along a side, E embedding width, G codes along a side.
"""

import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from transformers.models.chameleon.configuration_chameleon import ChameleonVQVAEConfig

from unix_lib.artefacts.files import atomic_path
from unix_lib.tokenizers.pixels import pixels_from_rgb
from unix_lib.tokenizers.vqgan import VQGAN
from unix_lib.tokenizers.vqgan_codebook import MovingAverageCodebook, squared_distances

logger = logging.getLogger(__name__)

STATE_FILE = "state.pt"
WARM_UP_SHARE = 0.05  # ASSUME: of the steps, while the learning rate rises
UNQUANTIZED_SHARE = 0.15  # ASSUME: of the steps, before the codebook starts; long enough for latents worth clustering
REVIVE_UNTIL_SHARE = 0.8  # ASSUME: of the steps; afterwards codes only settle
REVIVE_EVERY = 10  # steps
KMEANS_IMAGES = 256
WEIGHT_DECAY = 0.01
BETAS = (0.9, 0.95)
LARGEST_GRADIENT = 1.0
LOG_SECONDS = 5.0


@dataclass(frozen=True)
class VQGANTraining:
    """What a training run depends on besides its images and the shape."""

    steps: int
    batch_size: int
    learning_rate: float
    commitment_weight: float
    seed: int


class VQGANTrainer:
    """A training run between two steps. `images`: uint8 (N, 3, S, S), N >= 1."""

    def __init__(self, images: np.ndarray, config: ChameleonVQVAEConfig, training: VQGANTraining) -> None:
        self.images, self.training = images, training
        self.model = VQGAN(config)
        self.model.initialize_afresh(training.seed)
        learned = [p for name, p in self.model.named_parameters() if not name.startswith("quantize.")]
        self.optimizer = torch.optim.AdamW(learned, lr=training.learning_rate, betas=BETAS, weight_decay=WEIGHT_DECAY)
        self.codebook: MovingAverageCodebook | None = None
        self.step = 0

    def advance(self) -> dict[str, float]:
        """One optimizer step; returns its losses, `codes` (different ones in this batch) and `revived`."""
        training = self.training
        if self.codebook is None and self.step >= UNQUANTIZED_SHARE * training.steps:
            self._start_codebook()
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate_at(self.step, training.steps, training.learning_rate)
        pixels = pixels_from_rgb(self.images[batch_at(self.step, len(self.images), training.batch_size, training.seed)])

        latents = self.model.latents(pixels)
        quantized, commitment, used, revived = latents, latents.new_zeros(()), 0, 0
        if self.codebook is not None:
            flat = latents.permute(0, 2, 3, 1).reshape(-1, latents.shape[1])
            with torch.no_grad():
                codes = squared_distances(flat, self.codebook.vectors).argmin(1)
                nearest = self.codebook.vectors[codes]
                self.codebook.update(flat, codes)
                if self.step % REVIVE_EVERY == 0 and self.step < REVIVE_UNTIL_SHARE * training.steps:
                    revived = self.codebook.revive(flat, self._generator())
            used = len(codes.unique())
            commitment = functional.mse_loss(flat, nearest)
            nearest = nearest.view(latents.permute(0, 2, 3, 1).shape).permute(0, 3, 1, 2)
            quantized = latents + (nearest - latents).detach()  # straight-through
        quantized, pixels = self._mixed(quantized, pixels)
        decoded = self.model.pixels_from_latents(quantized)
        reconstruction = functional.l1_loss(decoded, pixels) + functional.mse_loss(decoded, pixels)
        loss = reconstruction + training.commitment_weight * commitment

        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), LARGEST_GRADIENT)
        self.optimizer.step()
        self.step += 1
        return {
            "loss": loss.item(),
            "reconstruction": reconstruction.item(),
            "commitment": commitment.item(),
            "codes": used,
            "revived": revived,
        }

    def finished(self) -> VQGAN:
        """The model with its codebook in place, in evaluation mode."""
        if self.codebook is None:
            self._start_codebook()
        with torch.no_grad():
            self.model.quantize.embedding.weight.copy_(self.codebook.vectors)  # type: ignore[union-attr]
        return self.model.eval()

    def save(self, path: Path) -> None:
        """Write the whole state atomically."""
        codebook = None if self.codebook is None else vars(self.codebook)
        with atomic_path(path) as temporary:
            torch.save(
                {
                    "step": self.step,
                    "model": self.model.state_dict(),
                    "optimizer": self.optimizer.state_dict(),
                    "codebook": codebook,
                },
                temporary,
            )

    def load(self, path: Path) -> None:
        """Continue from a saved state of the same run."""
        state: dict[str, Any] = torch.load(path, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.codebook = None if state["codebook"] is None else MovingAverageCodebook(**state["codebook"])
        self.step = state["step"]

    def _mixed(self, latents: torch.Tensor, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Put a random rectangle of each image's neighbour in the batch into it, in latents and pixels alike.

        The encoder sees whole images and could describe any place in any code. Where codes of two images must decode
        side by side, a code pays only for what it says about its own patch: codes become local and repeatable.
        """
        grid, factor = latents.shape[-1], pixels.shape[-1] // latents.shape[-1]
        rng = np.random.default_rng([self.training.seed, self.step])
        top, left = rng.integers(0, grid, 2)
        height, width = rng.integers(1, grid, 2)
        mask = torch.zeros(grid, grid, dtype=torch.bool)
        mask[top : top + height, left : left + width] = True
        large = mask.repeat_interleave(factor, 0).repeat_interleave(factor, 1)
        return torch.where(mask, latents.roll(1, 0), latents), torch.where(large, pixels.roll(1, 0), pixels)

    def _generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(self.training.seed * 1_000_003 + self.step)

    @torch.no_grad()
    def _start_codebook(self) -> None:
        count = min(KMEANS_IMAGES, len(self.images))
        pixels = pixels_from_rgb(self.images[batch_at(0, len(self.images), count, self.training.seed)])
        latents = torch.cat([self.model.latents(part) for part in pixels.split(self.training.batch_size)])
        flat = latents.permute(0, 2, 3, 1).reshape(-1, latents.shape[1])
        self.codebook = MovingAverageCodebook.from_latents(
            flat,
            self.model.config.num_embeddings,
            self.training.batch_size * latents.shape[2] * latents.shape[3],
            self._generator(),
        )


def train_vqgan(
    images: np.ndarray,
    config: ChameleonVQVAEConfig,
    training: VQGANTraining,
    *,
    work: Path | None = None,
    checkpoint_seconds: float = 30.0,
) -> VQGAN:
    """Train to the last step, from wherever an earlier attempt was stopped.

    Args:
        images: uint8 (N, 3, S, S), N >= 1.
        config: architecture.
        training: the run's settings.
        work: folder of the resumable state; None saves nothing.
        checkpoint_seconds: time between saves.
    """
    trainer = VQGANTrainer(images, config, training)
    if work is not None and (work / STATE_FILE).is_file():
        trainer.load(work / STATE_FILE)
        logger.info("image tokenizer: continuing at step %d of %d", trainer.step, training.steps)
    started = saved = logged = time.monotonic()
    first = trainer.step
    while trainer.step < training.steps:
        losses = trainer.advance()
        now = time.monotonic()
        if now - logged >= LOG_SECONDS or trainer.step == training.steps:
            logged = now
            seconds = (now - started) / (trainer.step - first)
            logger.info(
                "image tokenizer: step %d/%d, reconstruction %.4f, commitment %.4f, %d codes in the batch, "
                "%.0f images/s, %.0f s left",
                trainer.step,
                training.steps,
                losses["reconstruction"],
                losses["commitment"],
                losses["codes"],
                training.batch_size / seconds,
                seconds * (training.steps - trainer.step),
            )
        if work is not None and now - saved >= checkpoint_seconds and trainer.step < training.steps:
            trainer.save(work / STATE_FILE)
            saved = time.monotonic()
    return trainer.finished()


def batch_at(step: int, images: int, batch_size: int, seed: int) -> np.ndarray:
    """Indices int64 (B,) of a step's images: consecutive pieces of one endless stream of shuffled epochs."""
    first = step * batch_size
    pieces = []
    for epoch in range(first // images, (first + batch_size - 1) // images + 1):
        order = np.random.default_rng([seed, epoch]).permutation(images)
        pieces.append(order[max(0, first - epoch * images) : first + batch_size - epoch * images])
    return np.concatenate(pieces)


def learning_rate_at(step: int, steps: int, peak: float) -> float:
    """Linear warm-up, then a cosine down to 0 after the last step."""
    warm_up = max(1, round(WARM_UP_SHARE * steps))
    if step < warm_up:
        return peak * (step + 1) / warm_up
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))
