"""Trains a small VQGAN on images: encoder, codebook and decoder.

The codebook is clustered from image patches first (`vqgan_codebook`). Then one loss trains the rest:

* reconstruction, L1 + L2, through the codes (straight-through gradient);
* commitment of each latent to the code of its own patch, and the cross-entropy of choosing that code by distance, so
  that the quantizer's plain nearest-code rule finds it. At first the decoder is shown the patches' codes instead of
  the encoder's, which are still noise.

There is no adversarial and no perceptual (LPIPS) loss, which the published VQGANs have: on flat shapes and digits of
32 pixels they would buy little for several times the compute, and LPIPS needs a downloaded network. Expect blur on
photographs.

Everything random follows from (seed, step), so a resumed run equals an undisturbed one bit for bit: the state is the
step, the weights, the optimizer's moments and the codebook.

Shapes: N images, B batch, S pixels along a side, E embedding width, G codes along a side.
"""

import logging
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from unix_lib.artefacts.saves import prune_saves, save_folder, saves
from unix_lib.artefacts.sealed import is_whole, sealed_folder
from unix_lib.images.pixels import pixels_from_rgb
from unix_lib.jobs.progress import Progress
from unix_lib.tokenizers.trained_vqgan import VQGANTraining
from unix_lib.tokenizers.vqgan import VQGAN, vqgan_config
from unix_lib.tokenizers.vqgan_codebook import PatchCodebook, squared_distances

logger = logging.getLogger(__name__)

STATE_FILE = "state.pt"
WARM_UP_SHARE = 0.05  # ASSUME: of the steps, while the learning rate rises
TAUGHT_SHARE = 0.3  # ASSUME: of the steps, while the decoder is shown the patches' own codes
CROSS_ENTROPY_WEIGHT = 0.3  # ASSUME: enough to name 98% of codes right without slowing the decoder (tried 0.1, 0.3)
WEIGHT_DECAY = 0.01
BETAS = (0.9, 0.95)
LARGEST_GRADIENT = 1.0


class VQGANTrainer:
    """A training run between two steps. `images`: uint8 (N, 3, S, S), N >= 1."""

    def __init__(self, images: np.ndarray, training: VQGANTraining) -> None:
        self.images, self.training = images, training
        self.model = VQGAN(vqgan_config(training.shape))
        self.model.initialize_afresh(training.seed)
        learned = [p for name, p in self.model.named_parameters() if not name.startswith("quantize.")]
        self.optimizer = torch.optim.AdamW(learned, lr=training.learning_rate, betas=BETAS, weight_decay=WEIGHT_DECAY)
        self.codebook: PatchCodebook | None = None
        self.step = 0

    def advance(self) -> dict[str, float]:
        """One optimizer step; returns `loss`, `reconstruction`, `commitment` and `agreement`.

        Agreement is the share of patches whose code the encoder finds.
        """
        training, codebook = self.training, self._codebook()
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate_at(self.step, training.steps, training.learning_rate)
        pixels = pixels_from_rgb(self.images[batch_at(self.step, len(self.images), training.batch_size, training.seed)])
        patch_codes = codebook.codes_of(pixels).flatten()

        latents = self.model.latents(pixels)
        flat = latents.permute(0, 2, 3, 1).flatten(0, 2)
        distances = squared_distances(flat, codebook.vectors)
        found = distances.argmin(1)
        commitment = functional.mse_loss(flat, codebook.vectors[patch_codes])
        choice = functional.cross_entropy(-distances, patch_codes)

        taught = self.step < TAUGHT_SHARE * training.steps
        quantized = codebook.vectors[patch_codes if taught else found]
        quantized = quantized.view(latents.permute(0, 2, 3, 1).shape).permute(0, 3, 1, 2)
        if not taught:
            quantized = latents + (quantized - latents).detach()
        decoded = self.model.pixels_from_latents(quantized)
        reconstruction = functional.l1_loss(decoded, pixels) + functional.mse_loss(decoded, pixels)
        loss = reconstruction + training.commitment_weight * commitment + CROSS_ENTROPY_WEIGHT * choice

        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), LARGEST_GRADIENT)
        self.optimizer.step()
        self.step += 1
        return {
            "loss": loss.item(),
            "reconstruction": reconstruction.item(),
            "commitment": commitment.item(),
            "agreement": (found == patch_codes).float().mean().item(),
        }

    def finished(self) -> VQGAN:
        """The model with its codebook in place, in evaluation mode."""
        with torch.no_grad():
            self.model.quantize.embedding.weight.copy_(self._codebook().vectors)
        self.model.eval()
        return self.model

    def _codebook(self) -> PatchCodebook:
        if self.codebook is None:
            training, shape = self.training, self.training.shape
            order = batch_at(0, len(self.images), len(self.images), training.seed)
            self.codebook = PatchCodebook.fit(
                self.images[order],
                shape.image_size // shape.grid,
                shape.embedding_width,
                shape.codebook_size,
                torch.Generator().manual_seed(training.seed),
            )
        return self.codebook

    def save(self, work: Path) -> None:
        """Write the whole state as a save of this step."""
        state = {
            "step": self.step,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "codebook": None if self.codebook is None else vars(self.codebook),
        }
        with sealed_folder(save_folder(work, self.step)) as folder:
            torch.save(state, folder / STATE_FILE)
        prune_saves(work, self.step)

    def load(self, folder: Path) -> None:
        """Continue from a saved state of the same run."""
        state: dict[str, Any] = torch.load(folder / STATE_FILE, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.codebook = None if state["codebook"] is None else PatchCodebook(**state["codebook"])
        self.step = state["step"]


def train_vqgan(
    images: np.ndarray,
    training: VQGANTraining,
    *,
    work: Path | None = None,
    checkpoint_seconds: float = 30.0,
) -> VQGAN:
    """Train to the last step, from wherever an earlier attempt was stopped.

    Args:
        images: uint8 (N, 3, S, S), N >= 1.
        work: folder of the resumable state; None saves nothing.
    """
    trainer = VQGANTrainer(images, training)
    kept = [] if work is None else saves(work)
    whole = next((folder for _, folder in kept if is_whole(folder)), None)
    if whole is not None:
        trainer.load(whole)
        logger.info("image tokenizer: continuing at step %d of %d", trainer.step, training.steps)
    saved = time.monotonic()
    progress = Progress(training.steps, "steps", logger)
    progress.advance(trainer.step, known=trainer.step)
    while trainer.step < training.steps:
        losses = trainer.advance()
        progress.advance(1, values=losses)
        if work is not None and time.monotonic() - saved >= checkpoint_seconds and trainer.step < training.steps:
            trainer.save(work)
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
