"""What is measured: decoders of one size and any plan, their Qwen twin, and the sequences they work on."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM

from unix_lib.architectures.plans import architecture_label, layer_plan
from unix_lib.config.models import PlanConfig, SharedPlan
from unix_lib.models.configuration import UnixConfig
from unix_lib.models.decoder import UnixForCausalLM
from unix_lib.models.export import qwen_config
from unix_lib.models.routing import Documents

SEED = 218


@dataclass(frozen=True)
class DecoderSize:
    """One size for all plans: a token passes through as many parameters in each."""

    layers: int
    width: int
    intermediate: int
    heads: int
    key_value_heads: int
    text_vocabulary: int
    codebook: int
    codes_per_image: int
    positions: int
    dtype: torch.dtype = torch.float32

    def config(self, plan: PlanConfig) -> UnixConfig:
        """Config of a decoder of this size."""
        return UnixConfig(
            hidden_size=self.width,
            intermediate_size=self.intermediate,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.key_value_heads,
            max_position_embeddings=self.positions,
            rope_theta=1e6,
            vocab_size=self.text_vocabulary + self.codebook,
            text_size=self.text_vocabulary,
            padded_text_size=self.text_vocabulary,
            image_offset=self.text_vocabulary,
            codebook_size=self.codebook,
            codes_per_image=self.codes_per_image,
            vision_start_id=self.text_vocabulary - 3,
            vision_end_id=self.text_vocabulary - 2,
            eos_token_id=self.text_vocabulary - 1,
            pad_token_id=self.text_vocabulary - 1,
            layer_plan=[row.as_dict() for row in layer_plan(plan, self.layers)],
            architecture=architecture_label(plan),
        )

    def decoder(self, plan: PlanConfig, device: torch.device) -> UnixForCausalLM:
        """A decoder with random weights; the same text weights in every plan only by chance."""
        torch.manual_seed(SEED)
        with torch.device(device):
            model: Any = UnixForCausalLM(self.config(plan))
        decoder: UnixForCausalLM = model.to(self.dtype)
        return decoder

    def qwen(self, device: torch.device) -> Any:
        """transformers' own Qwen2 with the weights of the shared decoder."""
        shared = self.decoder(SharedPlan(preset="shared"), device)
        with torch.device(device):
            model: Any = AutoModelForCausalLM.from_config(qwen_config(shared.config), dtype=self.dtype)
        model.load_state_dict(shared.state_dict())
        return model


def prompts(size: DecoderSize, count: int) -> list[list[int]]:
    """Prompts for images, of 12 to 40 text tokens, ending with `<|vision_start|>`."""
    random = np.random.default_rng(SEED)
    lengths = random.integers(12, 41, count)
    start = size.text_vocabulary - 3
    return [[*random.integers(0, size.text_vocabulary - 3, length).tolist(), start] for length in lengths]


def left_padded(rows: list[list[int]], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids of rows of any lengths, 0 where there is none, and which of them are real; int64 (R, longest)."""
    longest = max(map(len, rows))
    ids = torch.tensor([[0] * (longest - len(row)) + row for row in rows], device=device)
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows], device=device)
    return ids, mask


def unconditional(size: DecoderSize) -> list[int]:
    """A short prompt for the unconditional branch."""
    return [7, 8, 9, size.text_vocabulary - 3]


def pack(size: DecoderSize, tokens: int) -> Documents:
    """A pack of exactly `tokens`: captioned images and texts in turn, the last one a text that fills it up."""
    random = np.random.default_rng(SEED)
    start, end, eos = (size.text_vocabulary - back for back in (3, 2, 1))
    documents: list[list[int]] = []
    left = tokens
    while left > 0:
        text = random.integers(0, size.text_vocabulary - 3, int(random.integers(64, 513))).tolist()
        document = [*text, eos]
        if len(documents) % 2 == 0:
            codes = random.integers(0, size.codebook, size.codes_per_image) + size.text_vocabulary
            document = [*text[:24], start, *codes.tolist(), end, eos]
        if len(document) > left:
            document = random.integers(0, size.text_vocabulary - 3, left).tolist()
        documents.append(document)
        left -= len(document)
    return Documents.of(documents)
