"""The published classes as plainly as possible, by their own tensor names: small checkpoints of them, and their logits.

Nothing here knows our names or our order of rows.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.models.plain_reference import norm, rotated

WIDTH, INNER, LAYERS, HEADS, GROUPS, HEAD = 32, 48, 5, 4, 2, 16
TEXT, CODES, ROWS, VISION_START = 50, 16, 72, 2
CONFIG = {
    "model_type": "qwen3",
    "hidden_size": WIDTH,
    "intermediate_size": INNER,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": GROUPS,
    "head_dim": HEAD,
    "vocab_size": ROWS,
    "tie_word_embeddings": True,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "max_position_embeddings": 256,
    "num_vision_encode_layers": 0,
    "num_vision_decode_layers": 0,
    "vision_vocab_size": CODES,
    "real_text_vocab_size": TEXT,
    "vision_start_id": VISION_START,
    "all_modal_visible": 0,
    "add_sep_for_vis": 0,
    "vis_sep_tokens": "<|vision_pad|>",
    "vis_sep_lens": "8",
    "skip_connection_loc": -1,
    "add_share_ffn": 0,
    "ffn_share_size": 2048,
    "ffn_vision_size": 2048,
    "decoder_sparse_step": 2,
}
UNIX = CONFIG | {
    "architectures": ["UniQwen3ForCausalLM"],
    "num_vision_encode_layers": 1,
    "num_vision_decode_layers": 2,
}
MOT = CONFIG | {"architectures": ["MoTQwen3ForCausalLM"]}
VARIANTS: dict[str, dict[str, Any]] = {
    "unix": UNIX,
    "unix, untied": UNIX | {"tie_word_embeddings": False},
    "shared ffn": UNIX | {"add_share_ffn": 1, "ffn_share_size": 24, "ffn_vision_size": 40},
    "mot": MOT | {"ffn_vision_size": INNER},
    "mot, narrowed": MOT | {"ffn_vision_size": 20},
    "moe": CONFIG | {"architectures": ["HardMoeQwen3CausalLM"]},
}


def published_weights(config: dict[str, Any]) -> dict[str, Tensor]:
    """Random tensors of every name that the class saves."""
    torch.manual_seed(4)
    kind, weights = config["architectures"][0], {"model.embed_tokens.weight": torch.randn(ROWS, WIDTH) * 0.3}
    if not config["tie_word_embeddings"]:
        weights["lm_head.weight"] = torch.randn(ROWS, WIDTH) * 0.3
    weights["model.norm.weight"] = 1 + torch.randn(WIDTH) * 0.3
    first, last = config["num_vision_encode_layers"], config["num_vision_decode_layers"]
    lists = {"layers": LAYERS, "vision_encode_layers": first, "vision_decode_layers": last}
    for name, count in lists.items():
        for layer in range(count):
            parts = _attention("") | _mlp("", INNER)
            parts |= {f"{norm_name}.weight": (WIDTH,) for norm_name in ("input_layernorm", "post_attention_layernorm")}
            if kind.startswith("MoT"):
                parts |= _attention("vis_") | _mlp("vision_", config["ffn_vision_size"])
            if kind.startswith("HardMoe") and layer % 2:
                parts |= _mlp("vis_", INNER)
            if config["add_share_ffn"] and name == "layers" and first <= layer < LAYERS - last:
                parts |= _mlp("share_", config["ffn_share_size"]) | _mlp("vision_", config["ffn_vision_size"])
            for part, shape in parts.items():
                drawn = torch.randn(shape) * 0.2
                weights[f"model.{name}.{layer}.{part}"] = 1 + drawn if "norm" in part else drawn
    return weights


def _attention(prefix: str) -> dict[str, tuple[int, ...]]:
    inner = {"q": HEADS, "k": GROUPS, "v": GROUPS}
    shapes = {f"self_attn.{prefix}{name}_proj.weight": (heads * HEAD, WIDTH) for name, heads in inner.items()}
    shapes |= {f"self_attn.{prefix}{name}_norm.weight": (HEAD,) for name in "qk"}
    return shapes | {f"self_attn.{prefix}o_proj.weight": (WIDTH, HEADS * HEAD)}


def _mlp(prefix: str, width: int) -> dict[str, tuple[int, ...]]:
    shapes = {f"mlp.{prefix}{name}_proj.weight": (width, WIDTH) for name in ("gate", "up")}
    return shapes | {f"mlp.{prefix}down_proj.weight": (WIDTH, width)}


def save_published(folder: Path, config: dict[str, Any]) -> dict[str, Tensor]:
    """A checkpoint of the class that the config names; gives its tensors."""
    weights = published_weights(config)
    (folder / "config.json").write_text(json.dumps(config))
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return weights


def published_logits(weights: dict[str, Tensor], config: dict[str, Any], document: list[int]) -> Tensor:
    """Logits (length, rows) of one document of published ids."""
    seen = [token >= TEXT or token == VISION_START for token in document]
    vision = torch.tensor(seen)
    kind, first, last = (
        config["architectures"][0],
        config["num_vision_encode_layers"],
        config["num_vision_decode_layers"],
    )
    hidden = weights["model.embed_tokens.weight"][torch.tensor(document)]
    for layer in range(LAYERS):
        separate = kind.startswith("Uni") and (layer < first or layer >= LAYERS - last)

        def of(part: str, token: int, layer: int = layer, separate: bool = separate) -> Tensor:
            """The tensor that a token passes."""
            where = f"model.layers.{layer}."
            if seen[token]:
                if separate:
                    deep = layer - (LAYERS - last)
                    where = (
                        f"model.vision_decode_layers.{deep}." if deep >= 0 else f"model.vision_encode_layers.{layer}."
                    )
                elif kind.startswith("MoT") and "layernorm" not in part and "o_proj" not in part:
                    part = part.replace("self_attn.", "self_attn.vis_").replace("mlp.", "mlp.vision_")
                elif kind.startswith("HardMoe") and layer % 2:
                    part = part.replace("mlp.", "mlp.vis_")
                elif config["add_share_ffn"]:
                    part = part.replace("mlp.", "mlp.vision_")
            return weights[f"{where}{part}.weight"]

        allowed = torch.ones(len(document), len(document), dtype=torch.bool).tril()
        if separate:
            allowed &= vision[:, None] == vision[None, :]
        hidden = _layer(
            hidden, of, allowed, shared=bool(config["add_share_ffn"]) and not separate, weights=weights, layer=layer
        )
    hidden = norm(hidden, weights["model.norm.weight"], 1e-6)
    return hidden @ weights.get("lm_head.weight", weights["model.embed_tokens.weight"]).T


def _layer(hidden: Tensor, of: Any, allowed: Tensor, *, shared: bool, weights: dict[str, Tensor], layer: int) -> Tensor:
    states: dict[str, list[Tensor]] = {"q": [], "k": [], "v": []}
    for token, row in enumerate(hidden):
        normed = norm(row, of("input_layernorm", token), 1e-6)
        for name, all_states in states.items():
            state = (of(f"self_attn.{name}_proj", token) @ normed).view(-1, HEAD)
            if name != "v":
                state = rotated(norm(state, of(f"self_attn.{name}_norm", token), 1e-6), token, 10000.0)
            all_states.append(state)
    query, key, value = (torch.stack(states[name]) for name in "qkv")
    outputs = []
    for head in range(HEADS):
        group = head // (HEADS // GROUPS)
        scores = (query[:, head] @ key[:, group].T / HEAD**0.5).masked_fill(~allowed, float("-inf"))
        outputs.append(torch.softmax(scores, -1) @ value[:, group])
    rows = []
    for token, attended in enumerate(torch.cat(outputs, -1)):
        middle = hidden[token] + of("self_attn.o_proj", token) @ attended
        normed = norm(middle, of("post_attention_layernorm", token), 1e-6)
        parts = [[of(f"mlp.{name}_proj", token) for name in ("gate", "up", "down")]]
        if shared:
            parts.append(
                [weights[f"model.layers.{layer}.mlp.share_{name}_proj.weight"] for name in ("gate", "up", "down")]
            )
        for gate, up, down in parts:
            middle = middle + down @ (torch.nn.functional.silu(gate @ normed) * (up @ normed))
        rows.append(middle)
    return torch.stack(rows)
