"""Where weights come from: transformers' own Qwen models, trained checkpoints, seeds."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

from tests.models.small import (
    LAYERS,
    PLANS,
    QWEN3_SHAPE,
    SHAPE,
    VOCABULARY,
    document_sets,
    logits_of,
    shaped,
    small_model,
)
from unix_lib.models import ModelError, UnixConfig
from unix_lib.models.export import export
from unix_lib.models.freezing import freeze
from unix_lib.models.pretrained import start_from_pretrained
from unix_lib.models.start import fresh_model, parameter_counts, start_from_checkpoint

FAMILIES = {"qwen2": (Qwen2Config, Qwen2ForCausalLM), "qwen3": (Qwen3Config, Qwen3ForCausalLM)}


def pretrained(family: str, tied: bool, folder, dtype: torch.dtype = torch.float32, **changes) -> torch.nn.Module:
    """A random model of transformers' own class, saved in a folder."""
    config_class, model_class = FAMILIES[family]
    shape = {
        "vocab_size": VOCABULARY.padded_text_size,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "tie_word_embeddings": tied,
        "rope_parameters": {"rope_type": "default", "rope_theta": 500000.0},
    }
    if family == "qwen3":
        shape["head_dim"] = 16  # not hidden_size / heads
    torch.manual_seed(3)
    model = model_class(config_class(**(shape | changes)))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * (0.15 if parameter.dim() > 1 else 0.3))
    model.to(dtype).save_pretrained(folder)
    return model.eval()


@pytest.mark.parametrize("vision_start", ["copy", "fresh"])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", list(FAMILIES))
def test_without_images_every_plan_is_the_pretrained_model(family: str, tied: bool, vision_start, tmp_path) -> None:
    base = pretrained(family, tied, tmp_path)
    documents = [document for document in document_sets()["many"] if max(document) < VOCABULARY.text_size]
    documents = [[token for token in document if token != VOCABULARY.vision_start_id] for document in documents]
    for plan in PLANS.values():
        model = start_from_pretrained(tmp_path, "main", plan, VOCABULARY, vision_start, 1).eval()
        for document in documents:
            with torch.no_grad():
                expected = base(torch.tensor([document])).logits[0]
            logits = logits_of(model, [document])[0][:, : VOCABULARY.padded_text_size]
            torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5)
            assert torch.equal(logits.argmax(-1), expected.argmax(-1))


@pytest.mark.parametrize("family", list(FAMILIES))
def test_shared_is_a_plain_qwen_on_images_too(family: str, tmp_path) -> None:
    pretrained(family, False, tmp_path)
    model = start_from_pretrained(tmp_path, "main", PLANS["shared"], VOCABULARY, "copy", 1).eval()
    config_class, model_class = FAMILIES[family]
    plain = model_class(config_class.from_pretrained(tmp_path, vocab_size=VOCABULARY.size)).eval()
    plain.load_state_dict(model.state_dict())
    for document in document_sets()["many"]:
        with torch.no_grad():
            expected = plain(torch.tensor([document])).logits[0]
        torch.testing.assert_close(logits_of(model, [document])[0], expected, rtol=0, atol=1e-5)


def test_new_rows_begin_near_the_mean_and_follow_the_seed(tmp_path) -> None:
    base = pretrained("qwen2", True, tmp_path)
    first, again, other = (
        start_from_pretrained(tmp_path, "main", PLANS["shared"], VOCABULARY, "copy", seed) for seed in (1, 1, 2)
    )
    old = base.model.embed_tokens.weight
    new = first.model.embed_tokens.weight[VOCABULARY.image_offset :]
    assert first.model.embed_tokens.weight.shape == (VOCABULARY.size, 32)
    assert torch.equal(first.model.embed_tokens.weight[: VOCABULARY.padded_text_size], old)
    assert ((new - old.mean(0)).abs().mean() < 0.2 * old.std(0).mean()) and new.std(0).min() > 0
    assert torch.equal(new, again.model.embed_tokens.weight[VOCABULARY.image_offset :])
    assert not torch.equal(new, other.model.embed_tokens.weight[VOCABULARY.image_offset :])


def test_bfloat16_weights_are_kept(tmp_path) -> None:
    base = pretrained("qwen2", True, tmp_path, torch.bfloat16)
    model = start_from_pretrained(tmp_path, "main", PLANS["mot"], VOCABULARY, "copy", 1, torch.bfloat16)
    assert model.dtype == torch.bfloat16
    assert torch.equal(model.model.layers[2].vision_mlp.up_proj.weight, base.model.layers[2].mlp.up_proj.weight)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocab_size": 60}, "if all rows are text, .* to 60, and if some are image codes, put the vocabulary.json"),
        ({"use_sliding_window": True, "sliding_window": 8}, "not supported"),
        ({"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0}}, "not supported"),
    ],
)
def test_a_pretrained_model_that_does_not_fit_is_refused(changes: dict, message: str, tmp_path) -> None:
    pretrained("qwen2", True, tmp_path, **changes)
    with pytest.raises(ModelError, match=message):
        start_from_pretrained(tmp_path, "main", PLANS["shared"], VOCABULARY, "copy", 1)


def test_a_checkpoint_takes_any_plan(tmp_path) -> None:
    base = small_model(PLANS["shared"])
    base.save_pretrained(tmp_path)
    documents = [document for document in document_sets()["text only"] if VOCABULARY.vision_start_id not in document]
    mixed = document_sets()["interleaved"]
    for name, plan in PLANS.items():
        copied = start_from_checkpoint(tmp_path, plan, "copy", 1).eval()
        fresh = start_from_checkpoint(tmp_path, plan, "fresh", 1).eval()
        for model in (copied, fresh):
            for expected, logits in zip(logits_of(base, documents), logits_of(model, documents), strict=True):
                torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5)
        separate = any(plan.separate for plan in copied.config.plans)
        same = torch.allclose(logits_of(fresh, mixed)[0], logits_of(base, mixed)[0], atol=1e-5)
        assert same != separate, name
        if name in ("mot", "moe 1/2"):  # copies attend jointly, so nothing has changed yet
            torch.testing.assert_close(logits_of(copied, mixed)[0], logits_of(base, mixed)[0], rtol=0, atol=1e-5)


def test_a_checkpoint_with_separate_layers_keeps_its_plan_and_takes_no_other(tmp_path) -> None:
    for name, plan in PLANS.items():
        base = small_model(plan)
        base.save_pretrained(tmp_path)
        shape = SHAPE.model_copy(update={"max_positions": 64})  # of no matter to the weights
        for model in (
            start_from_checkpoint(tmp_path, plan, "fresh", 1, vocabulary=VOCABULARY),
            start_from_pretrained(tmp_path, "main", plan, VOCABULARY, "fresh", 1, shape=shape),
        ):
            weights = base.state_dict()
            assert model.config.architecture == name and weights.keys() == model.state_dict().keys()
            assert all(torch.equal(value, weights[tensor]) for tensor, value in model.state_dict().items())
    for other in ("shared", "unix 1:1", "unix_joint 1:3"):
        with pytest.raises(ModelError, match=f"has plan 'custom', the run '{other}'.*start from a run with plan sha"):
            start_from_pretrained(tmp_path, "main", PLANS[other], VOCABULARY, "copy", 1)


def test_a_checkpoint_on_disk_must_have_the_planned_shape_and_the_vocabulary(tmp_path) -> None:
    small_model(PLANS["unix 1:1"]).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"has model_type qwen2, the run's start\.shape\.family is qwen3; set it to"):
        start_from_pretrained(tmp_path, "main", PLANS["mot"], VOCABULARY, "copy", 1, shape=shaped(family="qwen3"))
    other = replace(VOCABULARY, vision_end_id=5)
    with pytest.raises(ModelError, match="the model has vision_end_id 3, the vocabulary 5"):
        start_from_pretrained(tmp_path, "main", PLANS["unix 1:1"], other, "copy", 1)


@pytest.mark.parametrize("tied", [True, False])
def test_an_exported_checkpoint_takes_any_plan_and_keeps_its_image_rows(tied: bool, tmp_path) -> None:
    small_model(PLANS["shared"], tie_embeddings=tied).save_pretrained(tmp_path / "ours")
    VOCABULARY.write(tmp_path / "ours")
    export(tmp_path / "ours", tmp_path / "exported")
    for name in ("shared", "unix 1:3"):
        models = (
            start_from_checkpoint(tmp_path / "ours", PLANS[name], "copy", 1),
            start_from_pretrained(tmp_path / "exported", "main", PLANS[name], VOCABULARY, "copy", 1),
        )
        weights, exported = (model.state_dict() for model in models)
        assert weights.keys() == exported.keys() and all(torch.equal(weights[n], exported[n]) for n in weights)
    other = replace(VOCABULARY, codes_per_image=16)
    with pytest.raises(ModelError, match="exported: the model has codes_per_image 9, the vocabulary 16"):
        start_from_pretrained(tmp_path / "exported", "main", PLANS["shared"], other, "copy", 1)


def test_fresh_weights_follow_seed_and_name_only() -> None:
    shared, mot, other = (
        dict(fresh_model(SHAPE, PLANS[plan], VOCABULARY, seed).named_parameters())
        for plan, seed in (("shared", 1), ("mot", 1), ("mot", 2))
    )
    assert all(torch.equal(value, mot[name]) for name, value in shared.items())
    name = "model.layers.0.mlp.up_proj.weight"
    assert not torch.equal(mot[name], other[name])
    assert not torch.equal(mot[name], mot[name.replace("mlp", "vision_mlp")])
    state = torch.get_rng_state()
    fresh_model(SHAPE, PLANS["shared"], VOCABULARY, 1)
    assert torch.equal(torch.get_rng_state(), state)


def test_parameter_counts() -> None:
    shared = parameter_counts(fresh_model(SHAPE, PLANS["shared"], VOCABULARY, 1))
    assert shared["total"] == shared["text"] == shared["vision"]
    attention = 32 * (32 + 16 + 16) + 32 + 16 + 16 + 32 * 32 + 32
    ffn = 3 * 32 * 48 + 32
    assert shared["total"] == VOCABULARY.size * 32 + LAYERS * (attention + ffn) + 32
    for name, extra in (("unix 1:3", 4 * (attention + ffn)), ("mot", LAYERS * (attention + ffn)), ("moe 1/2", 2 * ffn)):
        counts = parameter_counts(fresh_model(SHAPE, PLANS[name], VOCABULARY, 1))
        assert counts == {
            "total": shared["total"] + extra,
            "text": shared["total"],
            "vision": shared["total"],
        }, name


@pytest.mark.parametrize("tied", [True, False])
def test_fresh_image_rows_leave_text_logits_as_they_were(tied: bool, tmp_path) -> None:
    base = small_model(PLANS["shared"], tie_embeddings=tied)
    base.save_pretrained(tmp_path)
    kept = start_from_checkpoint(tmp_path, PLANS["unix 1:1"], "copy", 1, "kept").eval()
    fresh = start_from_checkpoint(tmp_path, PLANS["unix 1:1"], "copy", 1, "fresh").eval()
    offset = base.config.image_offset
    rows, new = base.get_input_embeddings().weight, fresh.get_input_embeddings().weight
    torch.testing.assert_close(new[:offset], rows[:offset], rtol=0, atol=0)
    torch.testing.assert_close(kept.get_input_embeddings().weight, rows, rtol=0, atol=0)
    assert not torch.isclose(new[offset:], rows[offset:]).any(1).all()
    torch.testing.assert_close(new[offset:].std(), rows[:offset].std(), rtol=0.5, atol=0)
    documents = [document for document in document_sets()["text only"] if VOCABULARY.vision_start_id not in document]
    for expected, logits in zip(logits_of(base, documents), logits_of(fresh, documents), strict=True):
        torch.testing.assert_close(logits[..., :offset], expected[..., :offset], rtol=0, atol=1e-5)


def test_frozen_tensors_are_chosen_by_pattern() -> None:
    model = fresh_model(SHAPE, PLANS["mot"], VOCABULARY, 1)
    names = [name for name, _ in model.named_parameters()]
    trainable = freeze(model, ["model.layers.*.vision_*", "model.embed_tokens.weight"])
    assert trainable == [name for name in names if "vision_" not in name and "embed_tokens" not in name]
    assert trainable == [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert freeze(model, []) == names


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        (
            ["model.norm.*", "layers.0.*"],
            r"matches no tensor; names are like model\.embed_tokens",
        ),
        (["lm_head.*"], r"tied to model\.embed_tokens\.weight"),
        (["*"], "leave no tensor to train"),
    ],
)
def test_a_pattern_that_freezes_nothing_or_all_is_refused(patterns: list[str], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        freeze(fresh_model(SHAPE, PLANS["shared"], VOCABULARY, 1), patterns)


def test_separators_are_kept_with_the_checkpoint_and_absent_without(tmp_path) -> None:
    plain, separated = (
        fresh_model(SHAPE, PLANS["shared"], vocabulary, 1).config
        for vocabulary in (VOCABULARY, replace(VOCABULARY, separator_id=4, separator_every=3))
    )
    assert "separator" not in plain.to_json_string()
    separated.save_pretrained(tmp_path)
    loaded = UnixConfig.from_pretrained(tmp_path)
    assert (loaded.separator_id, loaded.separator_every) == (4, 3)


def test_a_checkpoint_with_another_vocabulary_is_refused(tmp_path) -> None:
    small_model(PLANS["shared"]).save_pretrained(tmp_path)
    start_from_checkpoint(tmp_path, PLANS["mot"], "copy", 1, vocabulary=VOCABULARY)
    other = replace(VOCABULARY, vision_end_id=5)
    with pytest.raises(ModelError, match="the model has vision_end_id 3, the vocabulary 5"):
        start_from_checkpoint(tmp_path, PLANS["mot"], "copy", 1, vocabulary=other)


def test_a_pretrained_model_must_have_the_planned_shape_and_finite_weights(tmp_path) -> None:
    base = pretrained("qwen2", True, tmp_path)
    start_from_pretrained(tmp_path, "main", PLANS["mot"], VOCABULARY, "copy", 1, shape=SHAPE)
    with pytest.raises(ModelError, match=r"has num_hidden_layers 5, the run's start\.shape\.layers is 6; set it to 5"):
        start_from_pretrained(tmp_path, "main", PLANS["mot"], VOCABULARY, "copy", 1, shape=shaped(layers=6))
    pretrained("qwen3", True, tmp_path / "qwen3")
    start_from_pretrained(tmp_path / "qwen3", "main", PLANS["mot"], VOCABULARY, "copy", 1, shape=QWEN3_SHAPE)
    for wrong, message in (
        (shaped(head_width=16), "has model_type qwen3, the run's start.shape.family is qwen2"),
        (shaped(family="qwen3"), "has head_dim 16, the run's start.shape.head_width is 8; set it to 16"),
    ):
        with pytest.raises(ModelError, match=message):
            start_from_pretrained(tmp_path / "qwen3", "main", PLANS["mot"], VOCABULARY, "copy", 1, shape=wrong)
    with torch.no_grad():
        base.model.layers[1].mlp.up_proj.weight[3, 4] = float("nan")
    base.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"model\.layers\.1\.mlp\.up_proj\.weight holds NaN or infinity; download"):
        start_from_pretrained(tmp_path, "main", PLANS["shared"], VOCABULARY, "copy", 1)


WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"


def rewrite(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    weights = load_file(folder / WEIGHTS)
    change(weights)
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})


def without_layer_1(weights: dict[str, torch.Tensor]) -> None:
    for name in [name for name in weights if ".layers.1." in name]:
        del weights[name]


def misshapen(weights: dict[str, torch.Tensor]) -> None:
    weights["model.norm.weight"] = torch.zeros(3)


def indexed(folder: Path, text: str) -> None:
    (folder / WEIGHTS).unlink()
    (folder / INDEX).write_text(text)


NO_CONFIG = "no model with a readable config.json"


def reconfigure(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a layer is missing": (lambda f: rewrite(f, without_layer_1), "12 missing keys, first model.layers.1.input_layern"),
    "the head is missing": (lambda f: rewrite(f, lambda w: w.pop("lm_head.weight")), "1 missing keys, first lm_head"),
    "misshapen": (lambda f: rewrite(f, misshapen), "1 mismatched keys, first model.norm.weight"),
    "truncated": (
        lambda f: (f / WEIGHTS).write_bytes((f / WEIGHTS).read_bytes()[:5000]),
        "(Error while deserializing header",
    ),
    "no weights": (lambda f: (f / WEIGHTS).unlink(), "(Error no file named model.safetensors"),
    "broken index": (lambda f: indexed(f, "{"), "can have (Expecting"),
    "empty index": (lambda f: indexed(f, '{"metadata": {}}'), "can have ('weight_map')"),
    "broken config": (lambda f: (f / "config.json").write_text("{"), NO_CONFIG),
    "no object": (lambda f: (f / "config.json").write_text("null"), NO_CONFIG),
    "unknown kind": (lambda f: (f / "config.json").write_text('{"model_type": "zzz"}'), NO_CONFIG),
    "another kind": (lambda f: (f / "config.json").write_text('{"model_type": "llama"}'), "is a 'llama' model"),
    "no number": (lambda f: (f / "config.json").write_text('{"model_type": "qwen2", "hidden_size": "x"}'), NO_CONFIG),
    "no heads": (lambda f: reconfigure(f, num_attention_heads=0), "config.json has 0 attention heads"),
    "no such precision": (lambda f: reconfigure(f, dtype="float99"), NO_CONFIG),
    "padding outside": (lambda f: reconfigure(f, pad_token_id=500), "can have (Padding_idx"),
    "no config": (lambda f: (f / "config.json").unlink(), NO_CONFIG),
}


@pytest.mark.parametrize("damage", list(DAMAGE))
def test_a_pretrained_model_that_is_not_whole_is_one_line(damage: str, tmp_path: Path) -> None:
    pretrained("qwen2", False, tmp_path)
    harm, message = DAMAGE[damage]
    harm(tmp_path)
    with pytest.raises(ModelError) as refused:
        start_from_pretrained(tmp_path, "main", PLANS["mot"], VOCABULARY, "copy", 1)
    told = str(refused.value)
    assert told.startswith(f"{tmp_path}") and message in told and "\n" not in told
    if message is NO_CONFIG:
        assert "correct start.path, or download the model" in told
    else:
        assert told.endswith(("download them again", "download it again", "give a Qwen2, Qwen2.5 or Qwen3 model"))


def test_no_pretrained_model_is_one_line() -> None:
    with pytest.raises(ModelError, match=r"^/nowhere/at/all: no model .* here \(.*\); correct start\.path") as refused:
        start_from_pretrained("/nowhere/at/all", "main", PLANS["shared"], VOCABULARY, "copy", 1)
    assert "\n" not in str(refused.value)
