"""What several tests of the train stage share."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers.integrations.deepspeed import unset_hf_deepspeed_config

from unix_lib.models import UnixForCausalLM, start
from unix_lib.train.stream import MicroBatch, PackStream


@pytest.fixture(autouse=True)
def no_zero_3_left() -> Iterator[None]:
    """Transformers remembers ZeRO 3 for the rest of a process, which is a single segment's outside of tests."""
    yield
    unset_hf_deepspeed_config()


@pytest.fixture
def empty_models(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Folders that models without weights were made from; their memory is filled with NaN, which nothing outlives."""
    made: list[Path] = []
    original = start.model_of_config

    def model_of_config(folder: Path) -> UnixForCausalLM:
        model = original(folder)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(torch.nan)
        made.append(folder)
        return model

    monkeypatch.setattr(start, "model_of_config", model_of_config)
    return made


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Hashes of the micro-batches that this process was dealt, in order."""
    dealt: list[str] = []
    original = PackStream.__iter__

    def noted(self: PackStream) -> Iterator[MicroBatch]:
        for micro_batch in original(self):
            dealt.append(hashlib.sha256(micro_batch.inputs["input_ids"].numpy().tobytes()).hexdigest())
            yield micro_batch

    monkeypatch.setattr(PackStream, "__iter__", noted)
    return dealt
