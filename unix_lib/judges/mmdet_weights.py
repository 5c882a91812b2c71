"""mmdet's Mask2Former, with which GenEval's published scores were judged, as transformers' model of the same weights.

Takes checkpoints of Swin backbones for COCO's instances as mmdet 2 and 3 name their tensors. Checked against mmdet
3.3.0 itself, on random weights: logits agree to 1e-5 in float32 and 1e-7 in float64, and of the objects that come of
them classes, order and boxes are equal.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, SwinConfig

from unix_lib.judges.coco_classes import CLASSES
from unix_lib.judges.judge import JudgeError

BACKBONE, PIXELS, DECODER = (
    "model.pixel_level_module.encoder.",
    "model.pixel_level_module.decoder.",
    "model.transformer_module.",
)
# Patterns of names, mmdet 3's before mmdet 2's, and what transformers calls them.
NAMES: dict[str, str | Callable[[re.Match[str]], str]] = {
    r"backbone\.patch_embed\.projection\.": rf"{BACKBONE}swin.embeddings.patch_embeddings.projection.",
    r"backbone\.patch_embed\.norm\.": rf"{BACKBONE}swin.embeddings.norm.",
    r"backbone\.norm(\d)\.": lambda found: f"{BACKBONE}hidden_states_norms.stage{int(found[1]) + 1}.",
    r"backbone\.stages\.(\d+)\.downsample\.": rf"{BACKBONE}swin.encoder.layers.\1.downsample.",
    r"backbone\.stages\.(\d+)\.blocks\.(\d+)\.": rf"{BACKBONE}swin.encoder.layers.\1.blocks.\2.",
    r"(blocks\.\d+\.)norm1\.": r"\1layernorm_before.",
    r"(blocks\.\d+\.)norm2\.": r"\1layernorm_after.",
    r"(blocks\.\d+\.)attn\.w_msa\.relative_position_bias_table": (
        r"\1attention.relative_position_bias.relative_position_bias_table"
    ),
    r"(blocks\.\d+\.)attn\.w_msa\.proj\.": r"\1attention.o_proj.",
    r"(blocks\.\d+\.)attn\.w_msa\.qkv\.": r"\1attention.qkv.",
    r"(blocks\.\d+\.)ffn\.layers\.0\.0\.": r"\1mlp.fc1.",
    r"(blocks\.\d+\.)ffn\.layers\.1\.": r"\1mlp.fc2.",
    r"panoptic_head\.pixel_decoder\.input_convs\.(\d)\.conv\.": rf"{PIXELS}input_projections.\1.0.",
    r"panoptic_head\.pixel_decoder\.input_convs\.(\d)\.gn\.": rf"{PIXELS}input_projections.\1.1.",
    r"panoptic_head\.pixel_decoder\.level_encoding\.weight": rf"{PIXELS}level_embed",
    r"panoptic_head\.pixel_decoder\.lateral_convs\.0\.conv\.": rf"{PIXELS}adapter_1.0.",
    r"panoptic_head\.pixel_decoder\.lateral_convs\.0\.gn\.": rf"{PIXELS}adapter_1.1.",
    r"panoptic_head\.pixel_decoder\.output_convs\.0\.conv\.": rf"{PIXELS}layer_1.0.",
    r"panoptic_head\.pixel_decoder\.output_convs\.0\.gn\.": rf"{PIXELS}layer_1.1.",
    r"panoptic_head\.pixel_decoder\.mask_feature\.": rf"{PIXELS}mask_projection.",
    r"panoptic_head\.pixel_decoder\.encoder\.layers\.(\d+)\.(?:self_attn|attentions\.0)\.": (
        rf"{PIXELS}encoder.layers.\1.self_attn."
    ),
    r"panoptic_head\.pixel_decoder\.encoder\.": rf"{PIXELS}encoder.",
    r"(decoder\.encoder\.layers\.\d+\.)norms\.0\.": r"\1self_attn_layer_norm.",
    r"(decoder\.encoder\.layers\.\d+\.)norms\.1\.": r"\1final_layer_norm.",
    r"panoptic_head\.transformer_decoder\.post_norm\.": rf"{DECODER}decoder.layernorm.",
    r"panoptic_head\.transformer_decoder\.": rf"{DECODER}decoder.",
    r"(decoder\.layers\.\d+\.)(?:cross_attn|attentions\.0)\.attn\.": r"\1cross_attn.",
    r"(decoder\.layers\.\d+\.)(?:self_attn|attentions\.1)\.attn\.": r"\1self_attn.",
    r"(transformer_module\.decoder\.layers\.\d+\.)norms\.0\.": r"\1cross_attn_layer_norm.",
    r"(transformer_module\.decoder\.layers\.\d+\.)norms\.1\.": r"\1self_attn_layer_norm.",
    r"(transformer_module\.decoder\.layers\.\d+\.)norms\.2\.": r"\1final_layer_norm.",
    r"(layers\.\d+\.)(?:ffn|ffns\.0)\.layers\.0\.0\.": r"\1fc1.",
    r"(layers\.\d+\.)(?:ffn|ffns\.0)\.layers\.1\.": r"\1fc2.",
    r"panoptic_head\.query_embed\.": rf"{DECODER}queries_embedder.",
    r"panoptic_head\.query_feat\.": rf"{DECODER}queries_features.",
    r"panoptic_head\.level_embed\.": rf"{DECODER}level_embed.",
    r"panoptic_head\.mask_embed\.([024])\.": (
        lambda found: f"{DECODER}decoder.mask_predictor.mask_embedder.{int(found[1]) // 2}.0."
    ),
    r"panoptic_head\.cls_embed\.": "class_predictor.",
}
LEFT_OUT = re.compile(r".*relative_position_index|panoptic_head\.loss_.*|panoptic_fusion_head\..*")


def detector_of(path: Path) -> Mask2FormerForUniversalSegmentation:
    """transformers' model of the weights in mmdet's checkpoint.

    Raises:
        JudgeError: it can't be read, or is another model's.
    """
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        state = dict(converted(saved.get("state_dict", saved)))
        model = Mask2FormerForUniversalSegmentation(_config_of(state))
        missing, unexpected = model.load_state_dict(state, strict=False)
    except Exception as error:  # whatever pickle and torch raise on a stranger's file
        raise JudgeError(f"{path}: no checkpoint of mmdet's Mask2Former with a Swin backbone ({error})") from None
    # The backbone's last norm is never used; the other is the loss's.
    lacking = [name for name in missing if not name.endswith(("swin.layernorm.weight", "swin.layernorm.bias"))]
    lacking = [name for name in lacking if name != "criterion.empty_weight"]
    if lacking or unexpected:
        raise JudgeError(
            f"{path}: {len(lacking)} weights of Mask2Former are missing and {len(unexpected)} are unknown, the first "
            f"{[*lacking, *unexpected][0]}; give mmdet's mask2former_swin-s-p4-w7-224 of COCO's instances"
        )
    model.eval()
    return model


def convert_detector(path: Path, folder: Path) -> None:
    """Write such a model to a new folder; raises what `detector_of` does, and where the folder is there already."""
    if folder.exists():
        raise JudgeError(f"{folder}: is there already; give a new folder")
    detector_of(path).save_pretrained(folder)


def converted(state: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """mmdet's tensors by transformers' names, those of joint projections cut into query, key and value."""
    for name, tensor in state.items():
        if LEFT_OUT.fullmatch(name):
            continue
        new = name
        for pattern, called in NAMES.items():
            new = re.sub(pattern, called, new)
        if ".attention.qkv." in new:
            for part, values in zip(("q_proj", "k_proj", "v_proj"), tensor.chunk(3), strict=True):
                yield new.replace(".qkv.", f".{part}."), values.clone()
        elif ".self_attn.in_proj_" in new:
            for part, values in zip(("q_proj.", "k_proj.", "v_proj."), tensor.chunk(3), strict=True):
                yield new.replace(".in_proj_", f".{part}"), values.clone()
        elif ".downsample." in new:
            yield new, _in_patches(tensor)
        else:
            yield new, tensor


def _in_patches(tensor: Tensor) -> Tensor:
    """Columns that mmdet has by channel, then by place in a patch of 2 x 2, as Swin's authors have them."""
    by_place: Tensor = tensor.unflatten(-1, (-1, 4)).transpose(-1, -2)
    return by_place[..., [0, 2, 1, 3], :].flatten(-2).clone()


def _config_of(state: Mapping[str, Tensor]) -> Mask2FormerConfig:
    """The model's shape, by its weights."""

    def count(pattern: str) -> int:
        return len({found[0] for name in state if (found := re.match(pattern, name))})

    layers = rf"{re.escape(BACKBONE)}swin\.encoder\.layers\."
    depths = [count(rf"{layers}{stage}\.blocks\.\d+\.") for stage in range(count(rf"{layers}\d+\."))]
    tables = [
        state[
            f"{BACKBONE}swin.encoder.layers.{stage}.blocks.0.attention.relative_position_bias.relative_position_bias_table"
        ]
        for stage in range(len(depths))
    ]
    of_swin: Any = SwinConfig
    of_detector: Any = Mask2FormerConfig
    backbone = of_swin(
        embed_dim=len(state[f"{BACKBONE}swin.embeddings.norm.weight"]),
        depths=depths,
        num_heads=[table.shape[1] for table in tables],
        window_size=(math.isqrt(len(tables[0])) + 1) // 2,
        image_size=224,
        out_features=[f"stage{stage + 1}" for stage in range(len(depths))],
    )
    width = state["class_predictor.weight"].shape[1]
    shape: dict[str, Any] = {
        **dict.fromkeys(("hidden_dim", "feature_size", "mask_feature_size"), width),
        "encoder_feedforward_dim": len(state[f"{PIXELS}encoder.layers.0.fc1.weight"]),
        "dim_feedforward": len(state[f"{DECODER}decoder.layers.0.fc1.weight"]),
        # Each head samples 4 points of 3 levels, two coordinates a point.
        "num_attention_heads": len(state[f"{PIXELS}encoder.layers.0.self_attn.sampling_offsets.bias"]) // 24,
        "encoder_layers": count(rf"{re.escape(PIXELS)}encoder\.layers\.\d+\."),
        "decoder_layers": count(rf"{re.escape(DECODER)}decoder\.layers\.\d+\.") + 1,
        "num_queries": len(state[f"{DECODER}queries_embedder.weight"]),
    }
    config: Mask2FormerConfig = of_detector(
        backbone_config=backbone, num_labels=len(CLASSES), id2label=dict(enumerate(CLASSES)), **shape
    )
    return config
