"""The arithmetic of costs against real models."""

from typing import Any

import numpy as np
import pytest
import torch

from tests.models.small import LAYERS, PLANS, QWEN3_SHAPE, SHAPE, VOCABULARY, image, text
from unix_lib.architectures.costs import DecoderCosts, decoder_costs
from unix_lib.architectures.plans import layer_plan
from unix_lib.config.models import DecoderShape, PlanConfig
from unix_lib.models import UnixForCausalLM
from unix_lib.models.routing import Documents, build_batch
from unix_lib.models.start import fresh_model, parameter_counts

SHAPES = pytest.mark.parametrize("shape", [SHAPE, QWEN3_SHAPE], ids=["qwen2", "qwen3"])


def costs_of(shape: DecoderShape, plan: PlanConfig, **settings: Any) -> DecoderCosts:
    return decoder_costs(shape, layer_plan(plan, LAYERS), VOCABULARY.size, **settings)


@SHAPES
@pytest.mark.parametrize("plan", list(PLANS))
def test_parameters_are_those_of_the_model(plan: str, shape: DecoderShape) -> None:
    counts = parameter_counts(fresh_model(shape, PLANS[plan], VOCABULARY, 1))
    costs = costs_of(shape, PLANS[plan])
    assert counts["total"] == costs.parameters_total
    assert counts["text"] == costs.text.parameters
    assert counts["vision"] == costs.vision.parameters


@SHAPES
@pytest.mark.parametrize(
    "plan", ["shared", "unix 1:1", "mot", "moe 1/2", "unix_shared_ffn 1:1 24+40", "unix_shared_ffn 1:0 0+64"]
)
def test_flops_are_those_of_the_matrix_products(plan: str, shape: DecoderShape) -> None:
    random = np.random.default_rng(1)
    model, costs = fresh_model(shape, PLANS[plan], VOCABULARY, 1), costs_of(shape, PLANS[plan])
    for modality, ids in (("text", text(random, 48)), ("vision", image(random, 47)[:-1])):
        # Without the head: only targets pass it, and its gradient is computed together with the loss.
        expected = len(ids) * (getattr(costs, modality).training_flops - 6 * VOCABULARY.size * SHAPE.hidden_size)
        assert _matrix_flops(model, ids) == expected, modality


def _matrix_flops(model: UnixForCausalLM, ids: list[int]) -> int:
    counted = 0

    def count(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], _: torch.Tensor) -> None:
        nonlocal counted
        counted += 6 * inputs[0].shape[0] * module.weight.numel()

    handles = [
        module.register_forward_hook(count)
        for name, module in model.model.named_modules()
        if isinstance(module, torch.nn.Linear)
    ]
    model.model(**_inputs(ids))
    for handle in handles:
        handle.remove()
    return counted


def _inputs(ids: list[int]) -> dict[str, Any]:
    batch = build_batch([Documents.of([ids])], VOCABULARY)
    return {name: value for name, value in batch.items() if "target" not in name and name != "packed_rows"}


@SHAPES
@pytest.mark.parametrize(("dtype", "size"), [(torch.float32, 4), (torch.bfloat16, 2)])
@pytest.mark.parametrize("plan", ["shared", "unix 1:1", "unix_shared_ffn 1:1 24+40"])
def test_activations_are_what_the_backward_pass_keeps(
    plan: str, dtype: torch.dtype, size: int, shape: DecoderShape
) -> None:
    random = np.random.default_rng(2)
    model = fresh_model(shape, PLANS[plan], VOCABULARY, 1).to(dtype)
    costs = costs_of(shape, PLANS[plan], bytes_per_value=size)
    for modality, ids in (("text", text(random, 64)), ("vision", image(random, 63)[:-1])):
        weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
        kept: dict[int, torch.UntypedStorage] = {}

        def keep(tensor: torch.Tensor, kept=kept, weights=weights) -> torch.Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in weights:
                kept[storage.data_ptr()] = storage
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            output = model.model(**_inputs(ids))
        measured = sum(storage.nbytes() for storage in kept.values()) / len(ids)
        assert measured == pytest.approx(getattr(costs, modality).activation_bytes, rel=0.1), modality
        del output


@SHAPES
@pytest.mark.parametrize("plan", ["shared", "unix 1:3", "mot"])
def test_caches_hold_what_is_said(plan: str, shape: DecoderShape) -> None:
    model, costs = fresh_model(shape, PLANS[plan], VOCABULARY, 1).eval(), costs_of(shape, PLANS[plan])
    kept: list[torch.Tensor] = []
    model.model(**_inputs(text(np.random.default_rng(3), 20)), kept=kept)
    values = [states[0].numel() for states in kept]  # keys and values of one token, layer by layer
    joint = [row.attention_scope == "joint" for row in model.config.plans]
    assert costs.cache_values_own == sum(values)
    assert costs.cache_values_other == sum(value for value, seen in zip(values, joint, strict=True) if seen)
