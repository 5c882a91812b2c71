"""A run begins with a checkpoint of the published classes: its plan kept, every tensor in its place, else refused."""

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tests.models.published_reference import MOT, UNIX, VARIANTS, published_logits, save_published
from tests.models.small import CUSTOM, PLANS, QWEN3_SHAPE, VOCABULARY, document_sets, logits_of, plan_of
from unix_lib.config.models import PlanConfig
from unix_lib.models import ModelError, UnixForCausalLM
from unix_lib.models.pretrained import start_from_pretrained

NARROWED = {"attention_weights": "per_modality", "ffn": "shared_plus_vision", "ffn_vision_width": 20}
KEPT = {
    "unix": plan_of(preset="unix", first=1, last=2),
    "unix, untied": plan_of(preset="unix", first=1, last=2),
    "shared ffn": plan_of(preset="unix_shared_ffn", first=1, last=2, shared_width=24, vision_width=40),
    "mot": plan_of(preset="mot"),
    "mot, narrowed": plan_of(preset="custom", table=[NARROWED] * 5),
    "moe": plan_of(preset="moe", every=2),
}
WEIGHTS = "model.safetensors"


def started(folder: Path, plan: PlanConfig = KEPT["unix"], **more: Any) -> UnixForCausalLM:
    return start_from_pretrained(folder, "main", plan, more.pop("vocabulary", VOCABULARY), "copy", 1, **more)


@pytest.mark.parametrize("variant", list(VARIANTS))
def test_logits_are_those_of_the_published_class(variant: str, tmp_path: Path) -> None:
    weights = {name: value.double() for name, value in save_published(tmp_path, VARIANTS[variant]).items()}
    shape = QWEN3_SHAPE.model_copy(update={"tie_embeddings": variant != "unix, untied"})
    model = started(tmp_path, KEPT[variant], shape=shape).double().eval()
    moved = VOCABULARY.image_offset - VOCABULARY.text_size
    for document in document_sets()["interleaved"] + document_sets()["image only"] + document_sets()["text only"]:
        theirs = [token - moved if token >= VOCABULARY.image_offset else token for token in document]
        expected = published_logits(weights, VARIANTS[variant], theirs)
        logits = logits_of(model, [document])[0]
        named = torch.cat([logits[:, : VOCABULARY.text_size], logits[:, VOCABULARY.image_offset :]], -1)
        torch.testing.assert_close(named, expected[:, : named.shape[1]], rtol=0, atol=1e-11)
        assert expected.std() > 0.1


def test_only_its_own_plan(tmp_path: Path) -> None:
    save_published(tmp_path, UNIX)
    for plan in (PLANS["shared"], PLANS["unix 1:1"], PLANS["mot"], plan_of(preset="custom", table=CUSTOM)):
        with pytest.raises(ModelError, match=r"has plan 'unix 1:2', the run '.*give the run the model's plan"):
            started(tmp_path, plan)
    save_published(tmp_path, MOT | {"ffn_vision_size": 20})
    with pytest.raises(ModelError, match="has plan 'custom', the run 'mot'"):
        started(tmp_path, PLANS["mot"])


def in_shards(folder: Path, weights: dict[str, torch.Tensor]) -> None:
    (folder / WEIGHTS).unlink()
    names = sorted(weights)
    files = {f"model-{part}.safetensors": names[part::2] for part in range(2)}
    for file, held in files.items():
        save_file({name: weights[name] for name in held}, folder / file, {"format": "pt"})
    index = {"weight_map": {name: file for file, held in files.items() for name in held}}
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps(index))


def as_pytorch(folder: Path, weights: dict[str, torch.Tensor]) -> None:
    (folder / WEIGHTS).unlink()
    torch.save(weights, folder / "pytorch_model.bin")


def test_weights_may_lie_in_shards_or_in_a_pytorch_file(tmp_path: Path) -> None:
    weights = save_published(tmp_path, UNIX)
    expected = started(tmp_path).state_dict()
    for rewrite in (in_shards, as_pytorch):
        for path in tmp_path.glob("*model*"):
            path.unlink()
        save_file(weights, tmp_path / WEIGHTS, {"format": "pt"})
        rewrite(tmp_path, weights)
        assert not (tmp_path / WEIGHTS).exists()
        assert all(torch.equal(value, expected[name]) for name, value in started(tmp_path).state_dict().items())


class Harmful:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.mkdir, (Path(__file__).parent / "executed",)


def rewritten(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def rewrite(folder: Path) -> None:
        weights = save_published(folder, UNIX)
        change(weights)
        save_file(weights, folder / WEIGHTS, {"format": "pt"})

    return rewrite


def pickled(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"model.norm.weight": Harmful()}, protocol=2))


def reconfigured(**changes: Any) -> Callable[[Path], object]:
    return lambda folder: (folder / "config.json").write_text(json.dumps(UNIX | changes))


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (
        rewritten(lambda w: w.pop("model.vision_decode_layers.1.mlp.up_proj.weight")),
        "1 missing tensors, first model.layers.4.vision_mlp.up_proj.weight",
    ),
    "a text tensor is missing": (
        rewritten(lambda w: w.pop("model.layers.2.input_layernorm.weight")),
        "1 missing tensors, first model.layers.2.input_layernorm.weight",
    ),
    "left over": (
        rewritten(lambda w: w.update({"model.vision_encode_layers.2.mlp.up_proj.weight": torch.zeros(2)})),
        "1 unexpected tensors, first model.layers.2.vision_mlp.up_proj.weight",
    ),
    "one more vision layer, where another is": (
        rewritten(lambda w: w.update({"model.vision_encode_layers.3.mlp.up_proj.weight": torch.zeros(2)})),
        "more vision layers than config.json says",
    ),
    "misshapen": (
        rewritten(lambda w: w.update({"model.vision_encode_layers.0.self_attn.q_norm.weight": torch.zeros(3)})),
        "model.layers.0.vision_self_attn.q_norm.weight is (3,), config.json says (16,)",
    ),
    "too few rows": (
        rewritten(lambda w: w.update({"model.embed_tokens.weight": torch.zeros(60, 32)})),
        "model.embed_tokens.weight is (60, 32), config.json says (72, 32)",
    ),
    "not finite": (
        rewritten(lambda w: w["model.vision_encode_layers.0.mlp.up_proj.weight"].fill_(float("nan"))),
        "model.layers.0.vision_mlp.up_proj.weight holds NaN",
    ),
    "truncated": (
        lambda f: (f / WEIGHTS).write_bytes((f / WEIGHTS).read_bytes()[:-5000]),
        "unreadable weights model.safetensors (Error while deserializing header",
    ),
    "code in the file": (pickled, "unreadable weights pytorch_model.bin (Weights only load failed"),
    "no weights": (lambda f: (f / WEIGHTS).unlink(), "no weights here"),
    "a skip connection": (reconfigured(skip_connection_loc=2), "skip_connection_loc 2, which no plan here describes"),
    "another class": (reconfigured(architectures=["UniShareQwen3ForCausalLM"]), "names class UniShareQwen3ForCausalLM"),
    "no such plan": (reconfigured(num_vision_encode_layers=-1), "config.json describes no plan"),
    "other texts": (
        reconfigured(real_text_vocab_size=51),
        "has real_text_vocab_size 51, the vocabulary text_size 50; take the text tokenizer",
    ),
    "another codebook": (reconfigured(vision_vocab_size=8), "has vision_vocab_size 8, the vocabulary codebook_size 16"),
    "separators": (reconfigured(add_sep_for_vis=1), "has vis_sep_lens 8, the vocabulary separator_every None"),
}


@pytest.mark.parametrize("damage", list(DAMAGE))
def test_what_is_not_whole_or_does_not_fit_is_one_line(damage: str, tmp_path: Path) -> None:
    save_published(tmp_path, UNIX)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    harm, message = DAMAGE[damage]
    harm(tmp_path)
    assert before != {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ModelError) as refused:
        started(tmp_path)
    told = str(refused.value)
    assert told.startswith(f"{tmp_path}") and message in told and "\n" not in told
    assert not (Path(__file__).parent / "executed").exists()


def test_separators_of_an_image_are_those_of_the_vocabulary(tmp_path: Path) -> None:
    save_published(tmp_path, UNIX | {"add_sep_for_vis": 1, "vis_sep_lens": "3"})
    separated = replace(VOCABULARY, separator_id=4, separator_every=3)
    assert started(tmp_path, vocabulary=separated).config.separator_every == 3
    for other in (VOCABULARY, replace(separated, separator_every=9)):
        with pytest.raises(ModelError, match="has vis_sep_lens 3, the vocabulary separator_every"):
            started(tmp_path, vocabulary=other)


def test_padding_up_to_the_rows_that_are_there(tmp_path: Path) -> None:
    weights = save_published(tmp_path, UNIX)["model.embed_tokens.weight"]
    narrow = replace(VOCABULARY, padded_text_size=50, image_offset=50, size=66)
    assert torch.equal(started(tmp_path, vocabulary=narrow).model.embed_tokens.weight, weights[:66])
    wide = replace(VOCABULARY, padded_text_size=64, image_offset=64, size=80)
    with pytest.raises(ModelError, match="padded_text_vocabulary to at most 56"):
        started(tmp_path, vocabulary=wide)
