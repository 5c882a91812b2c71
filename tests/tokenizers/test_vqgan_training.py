"""Training the VQGAN: it learns, it repeats, and it continues from where it was killed."""

import logging
import os
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.artefacts.damage import DAMAGES, damage
from tests.tokenizers.small import SHAPE, TRAINING, blocks
from unix_lib.artefacts.sealed import HASHES, is_whole
from unix_lib.images.pixels import pixels_from_rgb
from unix_lib.tokenizers.image import ImageTokenizer, quality
from unix_lib.tokenizers.train_vqgan import (
    STATE_FILE,
    VQGANTrainer,
    batch_at,
    learning_rate_at,
    train_vqgan,
)
from unix_lib.tokenizers.vqgan import VQGAN, vqgan_config


def weights(model: VQGAN) -> dict[str, torch.Tensor]:
    return dict(model.state_dict())


def assert_equal_weights(a: VQGAN, b: VQGAN) -> None:
    assert weights(a).keys() == weights(b).keys()
    assert all(torch.equal(weights(a)[name], weights(b)[name]) for name in weights(a))


def test_training_reconstructs_what_it_was_shown() -> None:
    images = blocks()
    training = TRAINING.model_copy(update={"steps": 150, "batch_size": 8, "learning_rate": 5e-3, "seed": 1})
    model = train_vqgan(images, training)
    after = quality(ImageTokenizer(model), images)
    untrained = VQGAN(vqgan_config(SHAPE))
    untrained.initialize_afresh(1)
    before = quality(ImageTokenizer(untrained), images)
    assert after["heldout_psnr_db"] > before["heldout_psnr_db"] + 5
    assert after["codes_used"] >= 8


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    images = blocks()
    first, second = train_vqgan(images, TRAINING), train_vqgan(images, TRAINING)
    assert_equal_weights(first, second)
    other = train_vqgan(images, TRAINING.model_copy(update={"seed": 12}))
    assert not torch.equal(other.encoder.conv_in.weight, first.encoder.conv_in.weight)


@pytest.mark.parametrize("stop", [2, 5, 17])
def test_resumed_equals_undisturbed(tmp_path: Path, stop: int) -> None:
    """While the decoder is taught and after; another use of the global generator in between changes nothing."""
    images = blocks()
    trainer = VQGANTrainer(images, TRAINING)
    for _ in range(stop):
        trainer.advance()
    trainer.save(tmp_path)
    torch.manual_seed(stop)
    resumed = train_vqgan(images, TRAINING, work=tmp_path)
    assert_equal_weights(resumed, train_vqgan(images, TRAINING))


def test_killed_process_continues_to_the_same_weights(tmp_path: Path) -> None:
    """SIGKILL right after a save, in a process of its own; the second attempt must not start again."""
    program = (
        "import os, signal, sys; from pathlib import Path; "
        "from tests.tokenizers.small import TRAINING, blocks; "
        "from unix_lib.tokenizers.train_vqgan import VQGANTrainer, train_vqgan; "
        "save = VQGANTrainer.save\n"
        "def save_and_die(self, path):\n"
        "    save(self, path)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "VQGANTrainer.save = save_and_die\n"
        "train_vqgan(blocks(), TRAINING, work=Path(sys.argv[1]), checkpoint_seconds=0.05)"
    )
    root = Path(__file__).parents[2]
    killed = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], cwd=root, env=dict(os.environ), check=False, capture_output=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    (kept,) = tmp_path.iterdir()
    state = torch.load(kept / STATE_FILE, weights_only=True)
    assert 0 < state["step"] < TRAINING.steps
    images = blocks()
    assert_equal_weights(train_vqgan(images, TRAINING, work=tmp_path), train_vqgan(images, TRAINING))


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("file", [HASHES, STATE_FILE])
def test_a_damaged_state_is_never_continued_from(
    tmp_path: Path, file: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The whole one before it is, and without one training begins again; either way the weights are the same."""
    images, trainer = blocks(), VQGANTrainer(blocks(), TRAINING)
    for _ in range(2):
        trainer.advance()
        trainer.save(tmp_path)
    damage(tmp_path / "step-00002" / file, how)
    with caplog.at_level(logging.INFO):
        resumed = train_vqgan(images, TRAINING, work=tmp_path)
    assert f"damaged, and computed again: {tmp_path / 'step-00002'}" in caplog.text
    assert f"continuing at step 1 of {TRAINING.steps}" in caplog.text
    assert_equal_weights(resumed, train_vqgan(images, TRAINING))
    damage(tmp_path / "step-00001" / file, how)
    assert_equal_weights(train_vqgan(images, TRAINING, work=tmp_path), resumed)


def test_a_save_outlives_a_damaged_one_of_a_later_step(tmp_path: Path) -> None:
    """Such a one is left by a process that was killed while it saved."""
    damaged = tmp_path / f"step-{TRAINING.steps + 1:05d}"
    damaged.mkdir()
    train_vqgan(blocks(), TRAINING, work=tmp_path, checkpoint_seconds=0.0)
    whole = [tmp_path / f"step-{TRAINING.steps - before:05d}" for before in (2, 1)]
    assert sorted(tmp_path.iterdir()) == [*whole, damaged]
    assert all(map(is_whole, whole))


def test_the_encoder_finds_the_codes_of_patches() -> None:
    """After training, the plain nearest-code rule of the quantizer names patches as the codebook does."""
    images = blocks()
    training = TRAINING.model_copy(update={"steps": 150, "batch_size": 8, "learning_rate": 5e-3, "seed": 1})
    trainer = VQGANTrainer(images, training)
    agreement = [trainer.advance()["agreement"] for _ in range(training.steps)]
    assert np.mean(agreement[-5:]) > 0.9 > np.mean(agreement[:5])
    codes = ImageTokenizer(trainer.finished()).encode(pixels_from_rgb(images))
    assert trainer.codebook is not None
    expected = trainer.codebook.codes_of(pixels_from_rgb(images))
    assert float((codes == expected).float().mean()) > 0.9


def test_every_image_is_seen_once_an_epoch_whatever_the_batch_size() -> None:
    stream = np.concatenate([batch_at(step, 10, 4, 3) for step in range(10)])
    for epoch in range(4):
        assert sorted(stream[10 * epoch : 10 * epoch + 10]) == list(range(10))
    assert not np.array_equal(stream[:10], stream[10:20])
    assert np.array_equal(stream[:15], np.concatenate([batch_at(step, 10, 3, 3) for step in range(5)]))
    assert len(batch_at(0, 3, 8, 0)) == 8  # more images a step than there are


def test_learning_rate_rises_then_falls_to_nearly_nothing() -> None:
    rates = [learning_rate_at(step, 100, 1.0) for step in range(100)]
    assert max(rates) == rates[int(np.argmax(rates))] == 1.0
    assert rates[0] < 0.3
    assert rates[-1] < 0.01
    assert all(a >= b for a, b in pairwise(rates[10:]))
    assert 0 < learning_rate_at(0, 1, 1.0) <= 1
