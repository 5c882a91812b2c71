"""The attention kernels against PyTorch's own, and which are refused where."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.attention.flex_attention import create_block_mask

from tests.models.small import PLANS, VOCABULARY, document_sets, image, small_model, text
from unix_lib.models import ModelError, UnixForCausalLM
from unix_lib.models.gpu_attention import BLOCK, check_kernels, visible_blocks
from unix_lib.models.routing import Documents, build_batch, move_batch

pytestmark = pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
HAS_CUDA = torch.cuda.is_available()


def run(model: UnixForCausalLM, documents: list[list[int]], attention: Any) -> torch.Tensor:
    """Logits (T, V) of documents in one pack."""
    batch = move_batch(build_batch([Documents.of(documents)], VOCABULARY, attention), model.device)
    with torch.no_grad():
        return model(**batch, return_logits=True).logits


def long_documents() -> list[list[int]]:
    """More than one block of keys, borders at and around the borders of blocks."""
    random = np.random.default_rng(7)
    lengths = (BLOCK, 1, BLOCK - 1, 3 * BLOCK + 5, 60)
    return [text(random, length) + image(random) * (index % 3) for index, length in enumerate(lengths)]


@pytest.mark.parametrize("composition", [*document_sets(), "long"])
@pytest.mark.parametrize("plan", ["shared", "unix 1:1", "mot", "custom"])
def test_flex_attention_equals_pytorchs_own(plan: str, composition: str) -> None:
    documents = (document_sets() | {"long": long_documents()})[composition]
    for dtype, tolerance in ((torch.float32, 2e-5), (torch.float64, 1e-10)):
        model = small_model(PLANS[plan], dtype=dtype)
        logits = run(model, documents, "flex_attention")
        torch.testing.assert_close(logits, run(model, documents, "sdpa"), rtol=0, atol=tolerance)


@pytest.mark.parametrize("attention", ["sdpa", "flex_attention"])
@pytest.mark.parametrize("plan", ["shared", "unix 1:1"])
def test_packed_documents_do_not_see_each_other(plan: str, attention: str) -> None:
    model, random = small_model(PLANS[plan]), np.random.default_rng(1)
    kept = text(random, 7) + image(random) + text(random, 2)
    before, after = (run(model, [text(random, 140) + image(random), kept], attention)[-len(kept) :] for _ in range(2))
    assert torch.equal(before, after)
    torch.testing.assert_close(run(model, [kept], attention), before, rtol=0, atol=1e-5)


def test_blocks_are_those_that_a_mask_over_all_scores_gives() -> None:
    random = np.random.default_rng(3)
    for length in (1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK, 7 * BLOCK + 3):
        begins = np.union1d([0], random.integers(0, length, 4))
        first = np.repeat(begins, np.diff(np.append(begins, length)))
        starts = torch.from_numpy(first)
        expected = create_block_mask(
            lambda _b, _h, query, key, starts=starts: (key <= query) & (key >= starts[query]),
            None, None, length, length, device="cpu", BLOCK_SIZE=BLOCK,
        )  # fmt: skip
        counts, indices, whole_counts, whole_indices = visible_blocks(first)
        for ours, places, theirs, their_places in (
            (counts, indices, expected.kv_num_blocks, expected.kv_indices),
            (whole_counts, whole_indices, expected.full_kv_num_blocks, expected.full_kv_indices),
        ):
            assert ours.dtype == places.dtype == np.int32
            assert (ours == theirs.numpy()).all(), (length, begins)
            for row, count in enumerate(ours[0, 0]):
                assert (places[0, 0, row, :count] == their_places[0, 0, row, :count].numpy()).all()


@pytest.mark.parametrize(
    ("kernels", "device", "dtype", "training", "message"),
    [
        ("flash", CUDA, torch.bfloat16, True, "choose one of sdpa, flash_attention_2, flex_attention"),
        ("flash_attention_2", CPU, torch.bfloat16, False, "runs on NVIDIA GPUs, the model is on cpu; set train.attent"),
        ("flash_attention_2", CUDA, torch.float32, True, r"has no torch\.float32; set train\.precision: bfloat16"),
        ("flex_attention", CPU, torch.float32, True, "no backward pass on cpu; set train.attention: sdpa"),
    ],
)
def test_kernels_that_cannot_run_are_refused(
    kernels: str, device: torch.device, dtype: torch.dtype, training: bool, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        check_kernels(kernels, device, dtype, training=training)
    check_kernels("sdpa", device, dtype, training=True)
    check_kernels("flex_attention", CPU, torch.float32, training=False)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unix_lib.models.gpu_attention.find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"needs flash-attn; install envs/gpu\.txt, or set train\.attention: sdpa"):
        check_kernels("flash_attention_2", CUDA, torch.bfloat16, training=True)


@pytest.mark.gpu
@pytest.mark.skipif(not HAS_CUDA, reason="no CUDA device")
@pytest.mark.parametrize("attention", ["flash_attention_2", "flex_attention"])
@pytest.mark.parametrize("plan", ["shared", "unix 1:1"])
def test_kernels_of_gpus_train_like_pytorchs_own(plan: str, attention: Any) -> None:
    if attention == "flash_attention_2":
        pytest.importorskip("flash_attn")
    model = small_model(PLANS[plan], hidden_size=128, heads=4, dtype=torch.bfloat16).to(CUDA)
    gradients = {}
    for kernels in ("sdpa", attention):
        model.zero_grad()
        batch = move_batch(build_batch([Documents.of(long_documents())], VOCABULARY, kernels), CUDA)
        model(**batch).loss.backward()
        gradients[kernels] = torch.cat([parameter.grad.flatten().float() for parameter in model.parameters()])
    similarity = torch.cosine_similarity(gradients["sdpa"], gradients[attention], dim=0)
    assert similarity > 0.999
