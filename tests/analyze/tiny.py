"""A tiny multimodal decoder and documents for it."""

import numpy as np
import torch
from pydantic import TypeAdapter

from unix_lib.architectures.plans import layer_plan
from unix_lib.config.models import PlanConfig
from unix_lib.models import UnixConfig, UnixForCausalLM

TEXT_IDS, IMAGE_OFFSET, CODES = 40, 64, 16


def tiny_model(preset: dict[str, object], layers: int = 3) -> UnixForCausalLM:
    torch.manual_seed(0)
    config = UnixConfig(
        vocab_size=IMAGE_OFFSET + CODES,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=1,
        initializer_range=0.2,
        layer_plan=[row.as_dict() for row in layer_plan(TypeAdapter(PlanConfig).validate_python(preset), layers)],
        text_size=TEXT_IDS,
        padded_text_size=IMAGE_OFFSET,
        image_offset=IMAGE_OFFSET,
        codebook_size=CODES,
        codes_per_image=8,
        vision_start_id=0,
        vision_end_id=1,
    )
    return UnixForCausalLM(config).eval()


def text_document(rng: np.random.Generator) -> list[int]:
    return rng.integers(2, TEXT_IDS, rng.integers(5, 20)).tolist()


def image_document(rng: np.random.Generator) -> list[int]:
    codes = IMAGE_OFFSET + rng.integers(0, CODES, 8)
    return [*rng.integers(2, TEXT_IDS, 4).tolist(), 0, *codes.tolist(), 1]
