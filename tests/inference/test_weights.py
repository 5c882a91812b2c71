"""Weights as decoding lays them out: the layer's own maths, by other kernels."""

import pytest
import torch
from torch.nn import functional

from tests.models.small import PLANS, small_model
from unix_lib.inference.weights import BranchWeights, product
from unix_lib.models.layers import RMSNorm


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("with_bias", [True, False])
def test_products_are_those_of_a_linear_layer(dtype: torch.dtype, with_bias: bool) -> None:
    torch.manual_seed(1)
    weight, bias = torch.randn(72, 40, dtype=dtype), torch.randn(72, dtype=dtype) if with_bias else None
    given = torch.randn(5, 40, dtype=dtype)
    error = {torch.float32: 1e-5, torch.bfloat16: 0.06, torch.float64: 1e-12}[dtype]
    with torch.inference_mode():
        found = product(weight, bias, 16)(given)
        wanted = functional.linear(given.double(), weight.double(), None if bias is None else bias.double())
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), wanted, rtol=0.01 if dtype == torch.bfloat16 else 0, atol=error)


@pytest.mark.parametrize("plan", list(PLANS))
def test_a_modality_passes_its_own_weights(plan: str) -> None:
    """Projections, norms, output and feed-forward of every layer, against the model's modules."""
    model = small_model(PLANS[plan])
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.normal_()
    weights, given = BranchWeights(model, 4), torch.randn(3, model.config.hidden_size)
    for vision in (False, True):
        for layer, alone in zip(model.model.layers, weights.layers(vision), strict=True):
            norm, attention = layer.attention_of(vision)
            ffn_norm, parts = layer.ffn_of(vision)
            with torch.inference_mode():
                attended = torch.randn(3, attention.o_proj.in_features)
                changed = sum(part(ffn_norm(given)) for part in parts)
                pairs = [
                    (alone.self_attn.project(alone.input_layernorm(given)), attention.project(norm(given))),
                    (alone.self_attn.o_proj(attended), attention.o_proj(attended)),
                    (alone.feed_forward(given, (0, 3)), given + changed),
                ]
            for found, wanted in pairs:
                torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    shared = [layer.plan.attention_weights == "shared" for layer in model.model.layers]
    same = [a.self_attn is b.self_attn for a, b in zip(weights.layers(False), weights.layers(True), strict=True)]
    assert same == shared  # what both use is laid out once


def test_the_norm_of_half_precision_is_computed_in_float32() -> None:
    norm = RMSNorm(64, 1e-6).bfloat16()
    weights = BranchWeights(small_model(PLANS["shared"]), 4)
    own = type(weights.norm)(norm)
    given = (torch.randn(4, 64) * 1e4).bfloat16()
    torch.testing.assert_close(own(given).float(), norm(given).float(), rtol=0.01, atol=0)
