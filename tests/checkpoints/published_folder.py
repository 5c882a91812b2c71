"""A small checkpoint of a published class with its text tokenizer, and the image tokenizer that its codes are of."""

from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from tests.models.published_reference import CODES, TEXT, save_published
from unix_lib.config.tokenizers import VQGANShape
from unix_lib.tokenizers.image import save_image_tokenizer
from unix_lib.tokenizers.vqgan import VQGAN, vqgan_config

SPECIAL = {1: "<|endoftext|>", 2: "<|vision_start|>", 3: "<|vision_end|>"}
SHAPE = VQGANShape(
    codebook_size=CODES,
    image_size=12,
    embedding_width=6,
    latent_width=10,
    base_channels=32,
    channel_multipliers=[1, 2, 1],
    residual_blocks=2,
    attention=True,
)


def write_checkpoint(folder: Path, config: dict[str, Any]) -> dict[str, Tensor]:
    """The checkpoint's files; gives its tensors by their published names."""
    folder.mkdir()
    letters = iter("".join(map(chr, range(33, 127))))
    vocabulary = {SPECIAL.get(number) or next(letters): number for number in range(TEXT)}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL.values()])
    PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)
    return save_published(folder, config)


def write_image_tokenizer(folder: Path) -> None:
    """Weights of nine codes an image, in Hugging Face's layout."""
    model = VQGAN(vqgan_config(SHAPE))
    model.initialize_afresh(seed=3)
    save_image_tokenizer(model, folder)
