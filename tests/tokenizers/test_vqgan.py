"""The VQGAN against transformers' own code, its decoder's layout, and its published file formats."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from transformers.models.chameleon.configuration_chameleon import ChameleonConfig
from transformers.models.chameleon.modeling_chameleon import ChameleonVQVAE

from tests.tokenizers.published import SHAPE, some_pixels, some_vqgan, write_taming_folder
from unix_lib.tokenizers.image import ImageTokenizer, load_image_tokenizer, save_image_tokenizer
from unix_lib.tokenizers.vqgan import VQGAN, ImageTokenizerError, vqgan_config
from unix_lib.tokenizers.vqgan_weights import read_pretrained


def test_codes_are_those_of_transformers_class() -> None:
    model = some_vqgan()
    theirs = ChameleonVQVAE(vqgan_config(SHAPE))
    theirs.load_state_dict({k: v for k, v in model.state_dict().items() if not k.startswith("decoder.")})
    pixels = some_pixels()
    expected = theirs.eval().encode(pixels).image_tokens.view(3, -1)
    codes = ImageTokenizer(model).encode(pixels)
    assert torch.equal(codes, expected)
    assert codes.dtype == torch.int64
    assert codes.shape == (3, SHAPE.codes_per_image)
    assert len(codes.unique()) > 2


def test_codes_are_row_major() -> None:
    """The code of row r, column c is the nearest codebook vector to the latent there."""
    model = some_vqgan()
    pixels = some_pixels(1)
    codes = ImageTokenizer(model).encode(pixels)[0]
    with torch.inference_mode():
        latents = model.latents(pixels)[0]
    for row, column in ((0, 0), (0, 3), (2, 1)):
        distance = (model.quantize.embedding.weight - latents[:, row, column]).square().sum(1)
        assert int(codes[row * SHAPE.grid + column]) == int(distance.argmin())


def test_codes_do_not_depend_on_the_batch() -> None:
    tokenizer, pixels = ImageTokenizer(some_vqgan()), some_pixels(5)
    alone = torch.cat([tokenizer.encode(image[None]) for image in pixels])
    assert float((tokenizer.encode(pixels) != alone).float().mean()) < 0.01


def test_decoded_pixels_are_the_decoded_codebook_vectors() -> None:
    model = some_vqgan()
    tokenizer = ImageTokenizer(model)
    codes = tokenizer.encode(some_pixels())
    pixels = tokenizer.decode(codes)
    assert pixels.shape == (3, 3, 16, 16)
    assert pixels.dtype == torch.float32
    with torch.inference_mode():
        quantized = model.encode(some_pixels()).quantized_last_hidden_state
        expected = model.decoder(model.post_quant_conv(quantized)).clamp(-1, 1)
    torch.testing.assert_close(pixels, expected, atol=1e-5, rtol=0)


def test_decoder_has_the_published_layout() -> None:
    """Names and shapes of taming-transformers' decoder for this shape, written out by hand."""
    names = {name: tuple(tensor.shape) for name, tensor in some_vqgan().state_dict().items() if "decoder." in name}
    expected = {
        "decoder.conv_in.weight": (32, 10, 3, 3),
        "decoder.mid.block_1.conv1.weight": (32, 32, 3, 3),
        "decoder.mid.attn_1.proj_out.weight": (32, 32, 1, 1),
        "decoder.mid.block_2.norm2.bias": (32,),
        "decoder.up.2.block.2.conv2.weight": (32, 32, 3, 3),
        "decoder.up.2.upsample.conv.weight": (32, 32, 3, 3),
        "decoder.up.1.block.0.nin_shortcut.weight": (64, 32, 1, 1),
        "decoder.up.1.block.0.conv1.weight": (64, 32, 3, 3),
        "decoder.up.1.upsample.conv.weight": (64, 64, 3, 3),
        "decoder.up.0.block.0.nin_shortcut.weight": (32, 64, 1, 1),
        "decoder.norm_out.weight": (32,),
        "decoder.conv_out.weight": (3, 32, 3, 3),
    }
    assert expected.items() <= names.items()
    assert not any(name.startswith("decoder.up.0.upsample") for name in names)
    assert sum(name.startswith("decoder.up.0.block.") and name.endswith("conv1.weight") for name in names) == 3
    # conv_in, conv_out, norm_out: 6; three blocks of the middle level's kind (8 each), attention 10; 9 level blocks,
    # two of them with a shortcut of 2 more; two upsampling convolutions.
    assert len(names) == 6 + 2 * 8 + 10 + 9 * 8 + 2 * 2 + 2 * 2


def test_saved_and_loaded_codes_and_pixels_are_equal(tmp_path: Path) -> None:
    model, pixels = some_vqgan(), some_pixels()
    files = save_image_tokenizer(model, tmp_path)
    loaded = load_image_tokenizer(tmp_path)
    before = ImageTokenizer(model)
    assert torch.equal(loaded.encode(pixels), before.encode(pixels))
    assert torch.equal(loaded.decode(before.encode(pixels)), before.decode(before.encode(pixels)))
    assert (loaded.codebook_size, loaded.image_size, loaded.codes_per_image) == (24, 16, 16)
    again = tmp_path / "again"
    save_image_tokenizer(model, again)
    assert all((tmp_path / name).read_bytes() == (again / name).read_bytes() for name in files)


def test_transformers_reads_the_encoder_from_the_saved_folder(tmp_path: Path) -> None:
    model, pixels = some_vqgan(), some_pixels()
    save_image_tokenizer(model, tmp_path)
    theirs = ChameleonVQVAE.from_pretrained(tmp_path)
    assert torch.equal(theirs.encode(pixels).image_tokens.view(3, -1), ImageTokenizer(model).encode(pixels))


def test_damaged_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageTokenizerError, match="not an image tokenizer"):
        load_image_tokenizer(tmp_path)
    save_image_tokenizer(some_vqgan(), tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ImageTokenizerError, match=str(tmp_path)):
        load_image_tokenizer(tmp_path)


# Published formats


def test_yaml_and_checkpoint_give_the_same_codes_and_pixels(tmp_path: Path) -> None:
    model, pixels = some_vqgan(), some_pixels()
    write_taming_folder(tmp_path / "vqgan", model)
    loaded = ImageTokenizer(read_pretrained(str(tmp_path / "vqgan"), "main", vqgan_config(SHAPE)))
    codes = ImageTokenizer(model).encode(pixels)
    assert torch.equal(loaded.encode(pixels), codes)
    assert torch.equal(loaded.decode(codes), ImageTokenizer(model).decode(codes))


def test_attention_inside_levels_is_read_from_the_yaml(tmp_path: Path) -> None:
    """Some published VQGANs attend at given resolutions, in encoder and decoder."""
    config = vqgan_config(SHAPE)
    config.attn_resolutions = [4]
    model = some_vqgan(config)
    assert "decoder.up.2.attn.2.q.weight" in model.state_dict()
    write_taming_folder(tmp_path / "vqgan", model, attn_resolutions=[4])
    loaded = read_pretrained(str(tmp_path / "vqgan"), "main", vqgan_config(SHAPE))
    save_image_tokenizer(loaded, tmp_path / "saved")
    saved = load_image_tokenizer(tmp_path / "saved")
    assert torch.equal(saved.encode(some_pixels()), ImageTokenizer(model).encode(some_pixels()))


def write_chameleon_folder(folder: Path, model: VQGAN) -> None:
    """A whole Hugging Face Chameleon in two shards, of which only the VQGAN's tensors matter here."""
    folder.mkdir()
    config = ChameleonConfig(vq_config=model.config.to_dict(), hidden_size=8, num_hidden_layers=1)
    (folder / "config.json").write_text(json.dumps(config.to_dict()))
    tensors = {"model.vqmodel." + k: v for k, v in model.state_dict().items() if not k.startswith("decoder.")}
    names = sorted(tensors)
    shards = {"a.safetensors": names[: len(names) // 2], "b.safetensors": names[len(names) // 2 :]}
    for shard, stored in shards.items():
        other = {"model.embed_tokens.weight": torch.zeros(2, 2)} if shard.startswith("a") else {}
        save_file({name: tensors[name].contiguous() for name in stored} | other, folder / shard)
    index = {"weight_map": {name: shard for shard, stored in shards.items() for name in stored}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def test_hugging_face_weights_encode_but_say_that_they_cannot_decode(tmp_path: Path) -> None:
    model, pixels = some_vqgan(), some_pixels()
    write_chameleon_folder(tmp_path / "hf", model)
    loaded = read_pretrained(str(tmp_path / "hf"), "main", vqgan_config(SHAPE))
    save_image_tokenizer(loaded, tmp_path / "saved")
    tokenizer = load_image_tokenizer(tmp_path / "saved")
    codes = tokenizer.encode(pixels)
    assert torch.equal(codes, ImageTokenizer(model).encode(pixels))
    with pytest.raises(ImageTokenizerError, match=r"no decoder.*vqgan\.ckpt"):
        tokenizer.decode(codes)


def test_a_shape_that_disagrees_with_the_files_is_refused(tmp_path: Path) -> None:
    write_taming_folder(tmp_path / "vqgan", some_vqgan())
    wanted = vqgan_config(SHAPE.model_copy(update={"codebook_size": 48}))
    with pytest.raises(ImageTokenizerError, match=r"shape\.codebook_size is 48.*has 24"):
        read_pretrained(str(tmp_path / "vqgan"), "main", wanted)


class Planted:
    """Pickles into something that is not a tensor."""


@pytest.mark.parametrize(
    "damage", ["missing", "truncated", "pickled code", "missing tensor", "bad yaml", "empty folder"]
)
def test_bad_published_files_are_named(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "vqgan"
    write_taming_folder(folder, some_vqgan())
    checkpoint = folder / "vqgan.ckpt"
    if damage == "missing":
        checkpoint.unlink()
    elif damage == "truncated":
        checkpoint.write_bytes(checkpoint.read_bytes()[:5000])
    elif damage == "pickled code":
        torch.save({"state_dict": some_vqgan().state_dict(), "hook": Planted()}, checkpoint)
    elif damage == "missing tensor":
        state = dict(some_vqgan().state_dict())
        del state["decoder.mid.block_1.conv1.weight"]
        torch.save({"state_dict": state}, checkpoint)
    elif damage == "bad yaml":
        (folder / "vqgan.yaml").write_text("model: {params: {embed_dim: 6}}")
    else:
        for path in list(folder.iterdir()):
            path.unlink()
    with pytest.raises(ImageTokenizerError, match=str(folder)):
        read_pretrained(str(folder), "main", vqgan_config(SHAPE))


def test_a_hub_id_that_is_not_in_the_cache_names_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ImageTokenizerError, match="unix-lib fetch"):
        read_pretrained("nobody/no-such-vqgan", "main", vqgan_config(SHAPE))
