"""The command `generate`: what it writes against the library called by hand, and what it refuses or sets aside."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pytest import MonkeyPatch
from typer.testing import CliRunner

from tests.evaluate.conftest import SHAPE, SmallExperiment, small  # noqa: F401  a fixture
from tests.images.pictures import png_that_claims
from unix_lib.__main__ import app
from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.files import write_json
from unix_lib.artefacts.manifest import write_manifest
from unix_lib.artefacts.recipe import RECIPE, Recipe
from unix_lib.checkpoints.open import checkpoint_folder, image_tokenizer_of, open_checkpoint
from unix_lib.checkpoints.sampling import read_sampling
from unix_lib.config.generate import SAMPLING, ImageSampling
from unix_lib.images.pixels import pixels_from_rgb, rgb_from_image
from unix_lib.inference.batches import generate_images, generate_text
from unix_lib.inference.requests import TextSampling
from unix_lib.pack.sequences import text_to_image_prompt_ids, vqa_prompt_ids
from unix_lib.records.lines import numbered_lines
from unix_lib.tokenizers.coded_images import decode_images
from unix_lib.tokenizers.image import save_image_tokenizer
from unix_lib.tokenizers.text import encode_texts
from unix_lib.tokenizers.vqgan import VQGAN, vqgan_config

LONG = "word " * 3000


class Generating:
    """The command on a small checkpoint."""

    def __init__(self, experiment: SmallExperiment, folder: Path) -> None:
        self.experiment, self.folder = experiment, folder
        self.checkpoint = experiment.results / experiment.checkpoint
        self.image_tokenizer = experiment.results / experiment.image_tokenizer

    def run(self, what: str, *arguments: str, output: str | None = "made") -> tuple[int, str, list[dict[str, Any]]]:
        """Exit code, what was printed, and the records; without `output`, those of the default folder."""
        folder = Path("results/generated") / self.checkpoint.name if output is None else self.folder / output
        common = ["--image-tokenizer", str(self.image_tokenizer)]
        common += [] if output is None else ["--output", str(folder)]
        result = CliRunner().invoke(app, ["generate", what, str(self.checkpoint), *arguments, *common])
        if isinstance(result.exception, UserError):
            raise result.exception
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, result.stdout, rows(folder / "outputs.jsonl")


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for _, line in numbered_lines(path)] if path.is_file() else []


@pytest.fixture
def generating(small: SmallExperiment, tmp_path: Path) -> Generating:  # noqa: F811
    return Generating(small, tmp_path)


def test_images_are_those_of_the_library_and_of_the_same_request_alone(generating: Generating) -> None:
    options = ["--seed", "5", "--guidance", "2", "--temperature", "1.2", "--top-k", "0", "--top-p", "0.9"]
    code, printed, records = generating.run(
        "image", "a red circle", "two squares", "--count", "2", *options, "--batch-size", "3"
    )
    assert code == 0 and "4 outputs" in printed
    assert [(row["file"], row["prompt"], row["seed"]) for row in records] == [
        ("00000.png", "a red circle", 5),
        ("00001.png", "a red circle", 6),
        ("00002.png", "two squares", 5),
        ("00003.png", "two squares", 6),
    ]
    settings = {"guidance_scale": 2.0, "temperature": 1.2, "top_k": 0, "top_p": 0.9}
    assert all(row["settings"] == settings for row in records)
    assert records[0]["checkpoint"] == generating.experiment.checkpoint

    opened = open_checkpoint(generating.checkpoint / "model", generating.image_tokenizer, 4, "cpu", with_images=True)
    prompts = [text_to_image_prompt_ids(opened.tokenizer, opened.vocabulary, row["prompt"]) for row in records]
    free = text_to_image_prompt_ids(opened.tokenizer, opened.vocabulary, None)
    codes = generate_images(opened.engine, prompts, free, [row["seed"] for row in records], ImageSampling(**settings))
    for row, own in zip(records, codes, strict=True):
        (expected,) = decode_images(opened.image_tokenizer, own[None])  # alone: in company pixels may round otherwise
        with Image.open(generating.folder / "made" / row["file"]) as image:
            assert (np.asarray(image) == expected).all()
    generating.run("image", "two squares", *options[2:], "--seed", "6", output="alone")
    alone, together = (generating.folder / name for name in ("alone/00000.png", "made/00003.png"))
    assert alone.read_bytes() == together.read_bytes()


def test_images_are_sampled_as_the_checkpoint_says_unless_told_otherwise(generating: Generating) -> None:
    shutil.copytree(generating.checkpoint, generating.folder / "copy" / generating.checkpoint.name)
    generating.checkpoint = generating.folder / "copy" / generating.checkpoint.name
    assert read_sampling(generating.checkpoint) is None
    of_the_experiment = ImageSampling(temperature=0.7, top_k=9, top_p=0.8, guidance_scale=1.0)
    for output, sampling in (("paper", ImageSampling()), ("own", of_the_experiment)):
        _, _, records = generating.run("image", "a circle", output=output)
        assert [row["settings"] for row in records] == [sampling.model_dump()]
        write_json(generating.checkpoint / SAMPLING, of_the_experiment.model_dump())
    given = ["--temperature", "0", "--top-k", "0", "--guidance", "2"]
    _, _, records = generating.run("image", "a circle", *given, output="given")
    assert records[0]["settings"] == {"temperature": 0.0, "top_k": 0, "top_p": 0.8, "guidance_scale": 2.0}


def test_outputs_go_to_a_folder_of_the_checkpoints_name(generating: Generating, monkeypatch: MonkeyPatch) -> None:
    monkeypatch.chdir(generating.folder)
    code, printed, records = generating.run("text", "x", "--max-tokens", "1", output=None)
    assert code == 0 and len(records) == 1
    assert f"1 outputs in results/generated/{generating.checkpoint.name}" in printed


def test_texts_continue_answer_and_describe(generating: Generating) -> None:
    picture = generating.folder / "picture.png"
    drawn = np.random.default_rng(3).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(drawn).save(picture)
    asked = generating.folder / "asked.jsonl"
    lines = [{"prompt": "the value of"}, {"image": "picture.png", "prompt": "Is it red?"}, {"image": "picture.png"}]
    asked.write_text("\n".join(json.dumps(line) for line in lines) + "\n\n")
    _, printed, records = generating.run("text", "--prompts", str(asked), "--max-tokens", "7")

    opened = open_checkpoint(generating.checkpoint, generating.image_tokenizer, 4, "cpu", with_images=True)
    codes = opened.image_tokenizer.encode(pixels_from_rgb(rgb_from_image(Image.open(picture)))[None])[0].numpy()
    vocabulary = opened.vocabulary
    begun = [vocabulary.vision_start_id, *vocabulary.image_ids(codes).tolist(), vocabulary.vision_end_id]
    prompts = [
        encode_texts(opened.tokenizer, ["the value of"])[0],
        vqa_prompt_ids(opened.tokenizer, vocabulary, codes, "Is it red?"),
        [*begun, *encode_texts(opened.tokenizer, ["The caption of this image is:"])[0]],
    ]
    answers = generate_text(opened.engine, prompts, TextSampling(most_tokens=7), stop_ids=[vocabulary.eos_id])
    expected = [opened.tokenizer.decode(ids, skip_special_tokens=True).strip() for ids in answers]
    assert [row["text"] for row in records] == expected
    assert [row["image"] for row in records] == [None, str(picture), str(picture)]
    for row in records:
        assert (generating.folder / "made" / row["file"]).read_text() == row["text"] + "\n"
        assert f"{row['file']}: {row['text']}" in printed

    options = ["--image", str(picture), "--temperature", "1.5", "--count", "3", "--max-tokens", "9"]
    _, _, sampled = generating.run("text", *options, output="sampled")
    _, _, again = generating.run("text", *options, "--batch-size", "1", output="again")
    assert [row["text"] for row in sampled] == [row["text"] for row in again]
    assert len({row["text"] for row in sampled}) == 3


def test_bad_requests_are_set_aside_and_counted(generating: Generating) -> None:
    (generating.folder / "damaged.png").write_bytes(b"\x89PNG nothing")
    lines = [
        {"image": "damaged.png"},
        {"image": "missing.png"},
        {"prompt": LONG, "seed": 4},
        {"prompt": " "},
        {"prompt": "fine"},
    ]
    asked = generating.folder / "asked.jsonl"
    asked.write_text("\n".join(json.dumps(line) for line in lines))
    code, printed, records = generating.run("text", "--prompts", str(asked), "--max-tokens", "2")
    assert code == 0 and [row["file"] for row in records] == ["00004.txt"]
    assert "set aside 4 of 5 requests" in printed and "prompt too long (1)" in printed
    rejected = rows(generating.folder / "made" / "rejected.jsonl")
    reasons = ["corrupt image", "no such image", "prompt too long", "empty prompt"]
    assert [row["reason"] for row in rejected] == reasons
    assert rejected[2]["seed"] == 4 and "positions; shorten the prompt" in rejected[2]["detail"]
    code, printed, records = generating.run("image", LONG, "", output="nothing")
    assert (code, records) == (1, []) and "set aside 2 of 2 requests" in printed


def test_a_bad_line_spoils_no_other(generating: Generating) -> None:
    (generating.folder / "line.png").write_bytes(png_that_claims(1, 40_000_000))
    lines = [
        b'\xef\xbb\xbf{"prompt": "first"}',
        b"{",
        b'{"promt": "x"}',
        b'{"prompt": 3}',
        b'{"prompt": "x", "seed": 1.5}',
        b'{"prompt": "x", "seed": -1}',
        b'{"prompt": "x", "seed": 18446744073709551615}',  # its second output has none
        b"[" * 100_000,
        b'{"prompt": "caf\xe9"}',
        b'{"prompt": "\\ud83d red"}',
        b'{"prompt": "x", "image": "\\ud83d.png"}',
        b'{"prompt": "x", "image": "' + b"y" * 5000 + b'"}',
        b'{"prompt": "x", "image": "line.png"}',
        b"\r",
        '{"prompt": "two\u2028lines"}\r'.encode(),
    ]
    asked = generating.folder / "asked.jsonl"
    asked.write_bytes(b"\n".join(lines))
    code, printed, records = generating.run("text", "--prompts", str(asked), "--max-tokens", "2", "--count", "2")
    assert code == 0
    assert [(row["file"], row["prompt"]) for row in records] == [
        ("00000.txt", "first"),
        ("00001.txt", "first"),
        ("00026.txt", "two\u2028lines"),
        ("00027.txt", "two\u2028lines"),
    ]
    assert "set aside 24 of 28 requests: malformed line (16), no such image (4)" in printed
    rejected = rows(generating.folder / "made" / "rejected.jsonl")[::2]
    details = [row["detail"] for row in rejected]
    for detail, complaint in zip(
        details[:8],
        (
            "2: not JSON",
            "3: give a JSON object",
            "4: 'prompt' must be a string, not of type int",
            "5: 'seed' must be a whole number, not of type float",
            "6: 'seed' must be in 0..18446744073709551614",
            "7: 'seed' must be in 0..18446744073709551614",
            "8: not JSON",
            "9: not UTF-8",
        ),
        strict=True,
    ):
        assert detail.startswith(f"{asked}:{complaint}")
    assert [row["reason"] for row in rejected[8:]] == [
        "prompt not Unicode",
        "no such image",
        "no such image",
        "aspect ratio",
    ]
    assert rejected[8]["prompt"] == "\\ud83d red"


def test_what_is_not_unicode_on_the_command_line(generating: Generating) -> None:
    picture = generating.folder / os.fsdecode(b"caf\xe9.png")
    Image.new("RGB", (40, 30)).save(picture, format="PNG")
    _, _, records = generating.run("text", "--image", str(picture), "--max-tokens", "2")
    assert [row["image"] for row in records] == [str(generating.folder / "caf\\udce9.png")]
    code, printed, _ = generating.run("image", os.fsdecode(b"caf\xe9"), output="nothing")
    assert code == 1 and "prompt not Unicode (1)" in printed


def test_lines_of_a_text_file(generating: Generating) -> None:
    asked = generating.folder / "asked.txt"
    asked.write_bytes("\ufeffone\r\n\n two\u2028lines \n".encode() + b"caf\xe9")
    _, printed, records = generating.run("text", "--prompts", str(asked), "--max-tokens", "2")
    assert [row["prompt"] for row in records] == ["one", "two\u2028lines"]
    assert "set aside 1 of 3 requests: malformed line (1)" in printed


def test_what_can_not_be_done_is_refused(generating: Generating) -> None:
    with pytest.raises(UserError, match="nothing to generate from"):
        generating.run("text")
    with pytest.raises(UserError, match="not a readable text file"):
        generating.run("text", "--prompts", str(generating.folder / "nothing.txt"))
    with pytest.raises(UserError, match=r"temperature -1\.0 must"):
        generating.run("text", "x", "--temperature", "-1")
    for guidance in ("nan", "inf", "-1"):
        with pytest.raises(UserError, match=rf"^guidance {guidance}(\.0)? must be 0 or more and finite"):
            generating.run("image", "x", "--guidance", guidance)
    (generating.folder / "file").write_text("x")
    for output in ("file", "file/below", "/proc"):  # nobody writes into /proc, root neither
        with pytest.raises(UserError, match=r"can't be a folder for outputs \(.*\); give another one with --output"):
            generating.run("text", "x", output=output)
    with pytest.raises(UserError, match="device tpu is not usable"):
        generating.run("text", "x", "--device", "tpu")
    with pytest.raises(UserError, match="cuda_graph needs the model on a GPU"):
        generating.run("image", "x", "--device", "cpu", "--cuda-graph")
    generating.run("text", "x", "--max-tokens", "1")
    with pytest.raises(UserError, match="has outputs already"):
        generating.run("text", "x", "--max-tokens", "1")


def test_an_image_tokenizer_with_other_codes_is_refused(generating: Generating) -> None:
    recipe = Recipe("tokenizers", "image", "test", 1, {"made": "with other codes"})
    folder = generating.folder / recipe.artefact
    files = save_image_tokenizer(VQGAN(vqgan_config(SHAPE.model_copy(update={"codebook_size": 32}))), folder)
    write_manifest(folder, recipe.digest, files)
    generating.image_tokenizer = folder
    with pytest.raises(UserError, match="makes 64 codes of 32 an image, the checkpoint knows 64 of 64"):
        generating.run("image", "x")


def test_no_checkpoint_is_one_line() -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "unix_lib", "generate", "image", "results/none", "x"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 1
    assert finished.stderr.startswith("CheckpointError: results/none: no finished checkpoint here")
    assert len(finished.stderr.strip().splitlines()) == 1


def test_the_image_tokenizer_is_found_through_the_recipes(tmp_path: Path) -> None:
    """checkpoint -> pack -> encoded source -> image tokenizer, and a base run without any."""

    def finish(recipe: Recipe, *files: str) -> str:
        folder = tmp_path / recipe.artefact
        for name in files:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("{}")
        write_json(folder / RECIPE, recipe.as_json())
        write_manifest(folder, recipe.digest, dict.fromkeys((*files, RECIPE)))
        return recipe.artefact

    prose = finish(Recipe("sources", "prose", "test", 1, {}))
    tokenizer = finish(Recipe("tokenizers", "image", "test", 1, {}))
    encoded = finish(Recipe("encode", "shapes", "test", 1, {}, {"image_tokenizer": tokenizer}))
    pack = finish(Recipe("pack", "mixed", "test", 1, {}, {"records:prose": [prose], "codes:shapes": [encoded]}))
    model = "model/config.json"
    text_only = finish(Recipe("train", "base-step-00001", "test", 1, {}, {"pack": prose}), model)
    mixed = finish(Recipe("train", "run-step-00001", "test", 1, {}, {"start": text_only, "pack": pack}), model)
    (tmp_path / "link").symlink_to(tmp_path / mixed)
    assert image_tokenizer_of(tmp_path / mixed) == tmp_path / tokenizer
    assert open_checkpoint(tmp_path / text_only, None, 1, "cpu", with_images=False).folder == tmp_path / text_only
    with pytest.raises(UserError, match="nothing it was made from had images"):
        open_checkpoint(tmp_path / text_only, None, 1, "cpu", with_images=True)
    assert checkpoint_folder(tmp_path / "link") == tmp_path / mixed
    for copied in ("elsewhere/train", "elsewhere/renamed"):  # without what it was made from, and under another name
        folder = tmp_path / copied / (Path(mixed).name if copied.endswith("train") else "best")
        shutil.copytree(tmp_path / mixed, folder)
        with pytest.raises(UserError, match=r"can't be found .*; name the image tokenizer .* by --image-") as refused:
            open_checkpoint(folder, None, 1, "cpu", with_images=True)
        assert "delete" not in str(refused.value)
    (tmp_path / mixed / model).write_text("{} ")
    with pytest.raises(UserError, match="bytes instead of"):
        open_checkpoint(tmp_path / mixed, None, 1, "cpu", with_images=True)
