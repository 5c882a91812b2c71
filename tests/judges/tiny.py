"""Tiny random models of the judges' architectures, in folders as transformers' own are."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    Mask2FormerConfig,
    Mask2FormerForUniversalSegmentation,
    PreTrainedTokenizerFast,
    SwinConfig,
)

from unix_lib.judges.clip_colors import COLORS
from unix_lib.judges.coco_classes import CLASSES, OTHER_NAMES

WORDS = ["a", "photo", "of", "object", "-", "colored", "yes", "no", "is", "there", "what"]


def mask2former(folder: Path, labels: tuple[str, ...] | None = None, scale: float = 1.0) -> Path:
    """A detector of COCO's classes, called as transformers' checkpoints call them; `scale` sharpens its classes."""
    own_names = {name: label for label, name in OTHER_NAMES.items()}
    labels = labels or tuple(own_names.get(name, name) for name in CLASSES)
    torch.manual_seed(0)
    backbone = SwinConfig(
        embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=2, image_size=32,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = Mask2FormerConfig(
        backbone_config=backbone, feature_size=32, mask_feature_size=32, hidden_dim=32, encoder_feedforward_dim=16,
        dim_feedforward=16, encoder_layers=1, decoder_layers=2, num_attention_heads=2, num_queries=12,
        num_labels=len(labels), id2label=dict(enumerate(labels)),
    )  # fmt: skip
    model = Mask2FormerForUniversalSegmentation(config)
    with torch.no_grad():
        model.class_predictor.weight.mul_(scale)
    model.save_pretrained(folder)
    return folder


def clip(folder: Path) -> Path:
    """A CLIP of 32 px images."""
    torch.manual_seed(1)
    text = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    of_text = text | {"vocab_size": 128, "eos_token_id": 1, "bos_token_id": 0, "pad_token_id": 1}
    vision = text | {"image_size": 32, "patch_size": 8}
    CLIPModel(CLIPConfig(text_config=of_text, vision_config=vision, projection_dim=8)).save_pretrained(folder)
    names = {word for name in CLASSES for word in name.split()}
    tokenizer(["<s>", "</s>", *WORDS, *COLORS, *sorted(names)], ends=True).save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def tokenizer(words: list[str], *, ends: bool = False) -> PreTrainedTokenizerFast:
    """Words to ids, in order; unknown ones are the first, and the second ends every text where `ends` says so."""
    made = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token=words[0]))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    if ends:
        made.post_processor = processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=made, unk_token=words[0], eos_token=words[1], pad_token=words[1], model_max_length=77
    )


def image_text(folder: Path, chat_template: str | None, *, yes_or_no: bool = False) -> Path:
    """A LLaVA of 32 px images, whose words may be yes and no only; its chat template is a question behind the image."""
    torch.manual_seed(2)
    layers = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    words = ["<s>", "</s>", "<image>", *WORDS, *COLORS]
    vision, text = CLIPVisionConfig(**layers, image_size=32, patch_size=8), LlamaConfig(**layers, vocab_size=len(words))
    config = LlavaConfig(vision_config=vision, text_config=text, image_token_index=2, vision_feature_layer=-1)
    network = LlavaForConditionalGeneration(config)
    if yes_or_no:  # one of the two is more probable than all else, whatever it sees
        with torch.no_grad():
            one = network.lm_head.weight[words.index("yes")].clone()
            network.lm_head.weight.zero_()
            network.lm_head.weight[[words.index("yes"), words.index("no")]] = torch.stack([one, -one])
    network.save_pretrained(folder)
    size = {"height": 32, "width": 32}
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=size),
        tokenizer=tokenizer(words),
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=chat_template,
    )
    processor.tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    processor.save_pretrained(folder)
    return folder
