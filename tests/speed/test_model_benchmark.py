"""The model benchmark: its contenders do the same work, its arithmetic is right, and it runs to its table."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from tests.inference.prompts import prompts_for_images
from tests.models.small import PLANS, VOCABULARY, small_model
from unix_lib.__main__ import app
from unix_lib.artefacts.errors import UserError
from unix_lib.commands.benchmark_model import size
from unix_lib.config.generate import ImageSampling
from unix_lib.config.models import SharedPlan, UnixPlan
from unix_lib.inference.batches import generate_images
from unix_lib.inference.engine import Engine
from unix_lib.models.routing import build_batch
from unix_lib.speed.decoders import pack, prompts, unconditional
from unix_lib.speed.generation import alone_and_in_a_batch, bytes_per_step, our_images, transformers_images
from unix_lib.speed.measuring import Times, peak_memory, take_turns
from unix_lib.speed.plain_loop import plain_images
from unix_lib.speed.training import decoder_steps, qwen_batch, qwen_steps

CPU = torch.device("cpu")
SIZE = replace(size(layers=4, width=64, text_vocabulary=90, positions=700, codes=12), codebook=40)
UNIX = UnixPlan(preset="unix", first=1, last=1)


@pytest.mark.parametrize("plan", list(PLANS))
def test_the_plain_loop_makes_the_same_images(plan: str) -> None:
    model, start = small_model(PLANS[plan]), VOCABULARY.vision_start_id
    options = {"guidance_scale": 2.0, "temperature": 0.9, "top_k": 0, "top_p": 0.95}
    free, seeds = [9, start], list(range(6))
    codes = plain_images(model, prompts_for_images(), free, seeds, **options)
    ours = generate_images(Engine(model), prompts_for_images(), free, seeds, ImageSampling(**options))
    assert codes.tolist() == ours.tolist()


def test_qwen_trains_on_the_same_documents() -> None:
    """The same weights and pack give the same loss, before and after a step."""
    documents = pack(SIZE, 600)
    assert documents.document_lengths.sum() == 600 and len(documents.document_lengths) > 1
    batch = qwen_batch(documents)
    assert (batch["labels"][0] == -100).sum() == len(documents.document_lengths)
    ours = decoder_steps(SIZE, SharedPlan(preset="shared"), 600, CPU, checkpointing=False)
    theirs = qwen_steps(SIZE, 600, CPU, checkpointing=True)
    for _ in range(3):
        assert ours() == pytest.approx(theirs(), abs=1e-4)


def test_qwen_has_the_shared_decoders_logits() -> None:
    documents = pack(SIZE, 300)
    shared, batch = SIZE.decoder(SharedPlan(preset="shared"), CPU).eval(), qwen_batch(documents)
    with torch.no_grad():
        ours = shared(**build_batch([documents], shared.config), return_logits=True).logits
        theirs = SIZE.qwen(CPU).eval()(batch["input_ids"], position_ids=batch["position_ids"], use_cache=False).logits
    torch.testing.assert_close(ours, theirs[0], rtol=0, atol=1e-5)


def test_contenders_make_as_many_codes() -> None:
    ours = our_images(SIZE, UNIX, 3, CPU, cuda_graph=False)()
    assert ours.shape == (3, 12)
    theirs = transformers_images(SIZE, 3, CPU)()
    assert theirs.shape == (3, max(len(row) for row in prompts(SIZE, 3)) + 12)


def test_turns_alternate_and_ratios_are_taken_within_a_round() -> None:
    called: list[str] = []
    take_turns({name: lambda name=name: lambda: called.append(name) for name in "ab"}, 3, CPU, "test")
    assert "".join(called) == "aabb" + "ba" + "ab"  # the first run of each is the warm-up
    fast, slow = Times([1.0, 2.0, 4.0]), Times([2.0, 8.0, 12.0])
    assert fast.over(slow) == 3.0 and slow.over(fast) == pytest.approx(1 / 3)
    assert fast.speeds(8) == (4.0, 2.0, 8.0)


def test_peak_memory_counts_what_lives_at_the_same_time() -> None:
    def opened():
        kept = torch.zeros(1_000_000)  # 4 MB

        def run() -> None:
            for _ in range(3):
                torch.empty(2_000_000).fill_(1.0)  # 8 MB, one after the other
            kept.add_(1)

        return run

    assert peak_memory(opened, CPU) == pytest.approx(12e6, rel=1e-3)


def test_images_alone_and_in_a_batch_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    model = SIZE.decoder(UNIX, CPU).eval()
    assert alone_and_in_a_batch(model, SIZE, 5, batch_invariant=True) == (0.0, 0.0)
    made = [np.zeros((2, 4)), np.array([[0, 0, 1, 0]]), np.zeros((1, 4))]
    monkeypatch.setattr("unix_lib.speed.generation.generate_images", lambda *_: made.pop(0))
    assert alone_and_in_a_batch(model, SIZE, 2, batch_invariant=False) == (0.5, 0.125)


def test_bytes_of_a_step() -> None:
    """The vision branch of every layer and the final norm, the image rows, and the caches at half their growth."""
    model = SIZE.decoder(UNIX, CPU)
    layers = {name: value.numel() for name, value in model.named_parameters() if "embed" not in name}
    weights = sum(count for name, count in layers.items() if _vision_uses(name, layers)) + 40 * 64
    tokens = sum(len(row) + 6 for row in [*prompts(SIZE, 2), *[unconditional(SIZE)] * 2])
    assert bytes_per_step(model, SIZE, 2) == 4 * (weights + tokens * 2 * 4 * 64)


def _vision_uses(name: str, names: dict[str, int]) -> bool:
    for part in ("self_attn", "mlp", "input_layernorm", "post_attention_layernorm"):
        if f".{part}." in name:
            return name.replace(f".{part}.", f".vision_{part}.") not in names
    return True


def test_the_command_prints_one_table() -> None:
    small = {"training-layers": 6, "training-width": 64, "training-vocabulary": 64, "pack-tokens": 300, "layers": 6}
    small |= {"width": 64, "vocabulary": 64, "codes": 3, "batch": 2, "rounds": 1}
    arguments = [text for name, value in small.items() for text in (f"--{name}", json.dumps(value))]
    finished = CliRunner().invoke(app, ["benchmark-model", "--device", "cpu", *arguments])
    assert finished.exit_code == 0, finished.exception
    for wanted in (
        "training, tokens/s",
        "images, codes/s",
        "shared",
        "unix 2:1",
        "mot",
        "moe 1/2",
        "Qwen2",
        "plain loop",
        "bfloat16",
    ):
        assert wanted in finished.stdout, wanted
    refused = CliRunner().invoke(app, ["benchmark-model", "--width", "100"])
    assert isinstance(refused.exception, UserError) and "multiple of 64" in str(refused.exception)
    if not torch.cuda.is_available():
        refused = CliRunner().invoke(app, ["benchmark-model", "--device", "cuda"])
        assert isinstance(refused.exception, UserError) and "not usable here" in str(refused.exception)
