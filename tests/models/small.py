"""Small random models and documents that the tests of models and decoding share."""

from typing import Any

import numpy as np
import torch
from pydantic import TypeAdapter

from unix_lib.config.models import DecoderShape, PlanConfig
from unix_lib.models import UnixForCausalLM
from unix_lib.models.routing import Documents, build_batch
from unix_lib.models.start import fresh_model
from unix_lib.tokenizers.vocabulary import Vocabulary

VOCABULARY = Vocabulary(
    text_size=50,
    padded_text_size=56,
    image_offset=56,
    codebook_size=16,
    codes_per_image=9,
    size=72,
    eos_id=1,
    pad_id=1,
    vision_start_id=2,
    vision_end_id=3,
)
LAYERS = 5
SHAPE = DecoderShape(hidden_size=32, intermediate_size=48, layers=LAYERS, max_positions=256)


def shaped(shape: DecoderShape = SHAPE, **changes: Any) -> DecoderShape:
    """A shape with some fields changed, and checked again."""
    return DecoderShape(**shape.model_dump() | changes)


def plan_of(**settings: Any) -> PlanConfig:
    """A plan from its settings as a config file has them."""
    return TypeAdapter(PlanConfig).validate_python(settings)


QWEN3_SHAPE = shaped(family="qwen3", head_width=16)  # heads that don't divide the residual stream
CUSTOM = [
    {"attention_weights": "per_modality", "attention_scope": "joint", "ffn": "shared"},
    {"attention_weights": "shared", "attention_scope": "within_modality", "ffn": "shared"},
    {"attention_weights": "shared", "attention_scope": "joint", "ffn": "per_modality"},
    {"attention_weights": "per_modality", "attention_scope": "within_modality", "ffn": "shared"},
    {
        "attention_weights": "per_modality",
        "attention_scope": "within_modality",
        "ffn": "shared_plus_vision",
        "ffn_shared_width": 8,
    },
]
PLANS = {
    "shared": plan_of(preset="shared"),
    "unix 1:1": plan_of(preset="unix", first=1, last=1),
    "unix 3:0": plan_of(preset="unix", first=3, last=0),
    "unix 0:3": plan_of(preset="unix", first=0, last=3),
    "unix 1:3": plan_of(preset="unix", first=1, last=3),
    "unix_joint 1:3": plan_of(preset="unix", first=1, last=3, attention_scope="joint"),
    "unix_shared_ffn 1:1 24+40": plan_of(preset="unix_shared_ffn", first=1, last=1, shared_width=24, vision_width=40),
    "unix_shared_ffn 1:0 0+64": plan_of(preset="unix_shared_ffn", first=1, last=0, shared_width=0, vision_width=64),
    "unix_shared_ffn 0:0 16+0": plan_of(preset="unix_shared_ffn", first=0, last=0, shared_width=16, vision_width=0),
    "mot": plan_of(preset="mot"),
    "moe 1/2": plan_of(preset="moe", every=2),
    "custom": plan_of(preset="custom", table=CUSTOM),
}


def small_model(
    plan: PlanConfig, *, dtype: torch.dtype = torch.float32, seed: int = 7, **shape: Any
) -> UnixForCausalLM:
    """A random model whose weights, biases and norms all matter: far from their initial zeros and ones."""
    model = fresh_model(shaped(**shape), plan, VOCABULARY, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            spread = 0.15 if parameter.dim() > 1 else 0.3
            parameter.add_(torch.randn(parameter.shape, generator=generator) * spread)
    return model.to(dtype).eval()


def text(random: np.random.Generator, length: int) -> list[int]:
    """Text ids without any special meaning."""
    return [int(token) for token in random.integers(4, VOCABULARY.text_size, length)]


def image(random: np.random.Generator, codes: int = VOCABULARY.codes_per_image) -> list[int]:
    """An image between its markers."""
    drawn = random.integers(VOCABULARY.image_offset, VOCABULARY.size, codes)
    return [VOCABULARY.vision_start_id, *(int(code) for code in drawn), VOCABULARY.vision_end_id]


def document_sets() -> dict[str, list[list[int]]]:
    """Packs of every composition, as lists of documents."""
    random = np.random.default_rng(5)
    code = VOCABULARY.image_offset + 3
    return {
        "text only": [text(random, 9), text(random, 17)],
        "image only": [image(random)[:-1], image(random)[1:-1]],
        "interleaved": [text(random, 4) + image(random) + text(random, 3) + image(random) + [1]],
        "one token": [[7], [code], [VOCABULARY.vision_start_id], [8], text(random, 6) + image(random)],
        "many": [
            document
            for length in range(1, 14)
            for document in (text(random, length * 3), image(random) + text(random, length), text(random, 2))
        ],
    }


def logits_of(model: UnixForCausalLM, documents: list[list[int]]) -> list[torch.Tensor]:
    """Logits (length, V) of each document, all in one pack."""
    with torch.no_grad():
        logits = model(**build_batch([Documents.of(documents)], VOCABULARY), return_logits=True).logits
    return list(logits.split([len(document) for document in documents]))
