"""`forward` is one graph: no break, no wait for the device, and few graphs for packs of any composition."""

from typing import Any

import numpy as np
import pytest
import torch
from torch._dynamo.testing import CompileCounter

from tests.models.small import PLANS, VOCABULARY, document_sets, image, small_model, text
from unix_lib.models.routing import Documents, build_batch

pytestmark = pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")


def dynamic(batch: dict[str, Any]) -> dict[str, Any]:
    """The batch with all its lengths marked as varying."""
    for value in batch.values():
        for tensor in [value] if isinstance(value, torch.Tensor) else vars(value).values():
            if tensor.shape[0] > 1:
                torch._dynamo.mark_dynamic(tensor, 0)
    return batch


def pack(random: np.random.Generator) -> list[list[int]]:
    """One to eight documents; one pack in eight has no image."""
    with_images = random.random() < 7 / 8
    documents = []
    for _ in range(random.integers(1, 9)):
        words = text(random, int(random.integers(2, 40)))
        documents.append(image(random) + words if with_images and random.random() < 0.6 else words)
    return documents if with_images else [text(random, 9), *documents]


def test_packs_of_any_composition_take_two_graphs() -> None:
    """One more than for packs with images only: a length of zero is a graph of its own to PyTorch."""
    torch._dynamo.reset()
    model, random, counter = small_model(PLANS["unix 1:1"]), np.random.default_rng(0), CompileCounter()
    compiled = torch.compile(model, fullgraph=True, backend=counter)
    compositions = set()
    for _ in range(50):
        documents = pack(random)
        batch = build_batch([Documents.of(documents)], VOCABULARY)
        compositions.add(tuple(batch["joint"].shapes.tolist()))
        compiled(**dynamic(batch)).loss.backward()
    assert len(compositions) > 40
    assert counter.frame_count <= 2


@pytest.mark.parametrize(
    ("plan", "backend"),
    [("unix_shared_ffn 1:1 24+40", "eager"), ("custom", "eager"), ("unix 1:1", "aot_eager"), ("mot", "aot_eager")],
)
def test_the_graph_computes_the_same(plan: str, backend: str) -> None:
    torch._dynamo.reset()
    model = small_model(PLANS[plan])
    batch = build_batch([Documents.of(document_sets()["many"][:9])], VOCABULARY)
    straight = model(**batch)
    straight.loss.backward()
    gradients = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    output = torch.compile(model, fullgraph=True, backend=backend)(**batch)
    output.loss.backward()
    torch.testing.assert_close(output.loss, straight.loss, rtol=0, atol=1e-6)
    torch.testing.assert_close(output.loss_image_sum, straight.loss_image_sum, rtol=1e-6, atol=0)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name], rtol=0, atol=1e-6, msg=name)


def test_flex_attention_is_in_the_graph_too() -> None:
    torch._dynamo.reset()
    model = small_model(PLANS["unix 1:1"])
    batch = build_batch([Documents.of(document_sets()["many"][:9])], VOCABULARY, "flex_attention")
    with torch.no_grad():
        compiled = torch.compile(model, fullgraph=True, backend="eager")
        assert torch.equal(compiled(**batch).target_losses, model(**batch).target_losses)
