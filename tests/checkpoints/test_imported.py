"""A checkpoint from elsewhere is brought into this layout: the same logits, and used like one that was trained here."""

import json
from pathlib import Path
from shutil import copytree

import pytest
import torch
from typer.testing import CliRunner, Result

from tests.checkpoints.published_folder import write_checkpoint, write_image_tokenizer
from tests.models.published_reference import TEXT, UNIX, VARIANTS, published_logits
from tests.models.small import PLANS, VOCABULARY, document_sets, logits_of, small_model
from unix_lib.__main__ import app
from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.manifest import open_artefact
from unix_lib.artefacts.verify import verify
from unix_lib.checkpoints.open import open_checkpoint
from unix_lib.models.checkpoint import load_model
from unix_lib.models.export import export

IMPORTED = Path("results/imported")


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_image_tokenizer(Path("vqgan"))
    return tmp_path


def imported(*arguments: str) -> Result:
    result = CliRunner().invoke(app, ["import", *arguments], env={"COLUMNS": "300"}, catch_exceptions=True)
    if isinstance(result.exception, UserError):
        raise result.exception
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def folder_of(name: str) -> Path:
    (found,) = (path for path in (IMPORTED / "train").iterdir() if path.name.rpartition("-")[0] == name)
    return found


@pytest.mark.parametrize("variant", ["shared ffn", "mot, narrowed"])
def test_a_published_checkpoint_opens_with_its_own_logits(files: Path, variant: str) -> None:
    weights = {name: value.double() for name, value in write_checkpoint(files / "Some", VARIANTS[variant]).items()}
    assert "give this folder wherever" in imported("Some", "--image-tokenizer", "vqgan").stdout
    checkpoint = open_checkpoint(folder_of("some"), None, 4, "cpu", with_images=True)
    vocabulary = checkpoint.vocabulary
    assert (vocabulary.codes_per_image, vocabulary.image_offset, vocabulary.size) == (9, 56, 72)
    assert checkpoint.wording.template == "published"
    model = load_model(checkpoint.folder / "model").double().eval()
    moved = vocabulary.image_offset - vocabulary.text_size
    for document in document_sets()["interleaved"] + document_sets()["text only"]:
        theirs = [token - moved if token >= vocabulary.image_offset else token for token in document]
        expected = published_logits(weights, VARIANTS[variant], theirs)
        logits = logits_of(model, [document])[0]
        named = torch.cat([logits[:, :TEXT], logits[:, vocabulary.image_offset :]], -1)
        torch.testing.assert_close(named, expected[:, : named.shape[1]], rtol=0, atol=1e-11)
    proven = verify(IMPORTED)
    assert proven.artefacts == 2 and proven.faults == proven.unproven == []


def test_it_says_where_it_came_from_and_is_made_once(files: Path) -> None:
    write_checkpoint(files / "some", UNIX)
    imported("some", "--image-tokenizer", "vqgan", "--name", "uni-x", "--language", "zh")
    folder = folder_of("uni-x")
    recipe = json.loads((folder / "recipe.json").read_text())
    assert recipe["settings"]["path"] == "some" and recipe["settings"]["identity"]["count"] == 4
    assert recipe["settings"]["wording"] == {"template": "published", "language": "zh", "image_size": None}
    assert recipe["inputs"]["image_tokenizer"].startswith("tokenizers/image-")
    facts, written = open_artefact(folder).facts, (folder / "manifest.json").stat()
    assert (facts["run"], facts["step"], facts["architecture"]) == ("uni-x", -1, "unix 1:2")
    imported("some", "--image-tokenizer", "vqgan", "--name", "uni-x", "--language", "zh")
    assert (folder / "manifest.json").stat() == written
    write_checkpoint_again = json.dumps(UNIX | {"rope_theta": 9999.0})
    (files / "some" / "config.json").write_text(write_checkpoint_again)
    imported("some", "--image-tokenizer", "vqgan", "--name", "uni-x", "--language", "zh")
    assert len(list((IMPORTED / "train").glob("uni-x-*"))) == 2


def test_a_model_of_ours_that_lost_its_manifest_is_brought_back(files: Path) -> None:
    write_checkpoint(files / "some", UNIX)
    imported("some", "--image-tokenizer", "vqgan")
    first = folder_of("some")
    copytree(first / "model", "bare")
    with pytest.raises(UserError, match=r"no finished checkpoint here.*unix-lib import"):
        open_checkpoint(Path("bare"), None, 1, "cpu", with_images=False)
    (tokenizer,) = (IMPORTED / "tokenizers").iterdir()
    imported("bare", "--image-tokenizer", str(tokenizer))
    again = folder_of("bare")
    assert (again / "model" / "model.safetensors").read_bytes() == (first / "model" / "model.safetensors").read_bytes()
    assert open_checkpoint(again, None, 1, "cpu", with_images=True).wording.template == "ours"


def test_one_that_was_exported_is_brought_back(files: Path) -> None:
    write_checkpoint(files / "some", UNIX)  # for its text tokenizer
    model, bare = small_model(PLANS["shared"]), files / "bare"
    copytree("some", bare)
    model.save_pretrained(bare)
    VOCABULARY.write(bare)
    export(bare, files / "exported")
    assert json.loads((files / "exported" / "config.json").read_text())["model_type"] == "qwen2"
    imported("exported", "--image-tokenizer", "vqgan")
    back = load_model(folder_of("exported") / "model")
    assert all(torch.equal(value, back.state_dict()[name]) for name, value in model.state_dict().items())
    assert open_checkpoint(folder_of("exported"), None, 1, "cpu", with_images=True).vocabulary == VOCABULARY


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("some",), "some: its codes are those of an image tokenizer; name that by --image-tokenizer"),
        (("nowhere",), "nowhere: no model with a readable config.json here"),
        (("some", "--name", "A b"), "'A b' is no name of an artefact"),
        (("some", "--template", "their"), "import: template: Input should be 'ours' or 'published'"),
        (("some", "--image-tokenizer", "some/.."), "has neither vqgan.yaml"),
    ],
)
def test_what_cannot_be_imported_is_one_line(files: Path, arguments: tuple[str, ...], message: str) -> None:
    write_checkpoint(files / "some", UNIX)
    with pytest.raises(UserError) as refused:
        imported(*arguments)
    assert message in str(refused.value) and "\n" not in str(refused.value)


def test_a_tokenizer_or_codes_that_are_not_the_models_are_refused(files: Path) -> None:
    write_checkpoint(files / "some", UNIX | {"vision_vocab_size": 15})
    with pytest.raises(UserError, match="makes 9 codes of 16 an image, the checkpoint knows 9 of 15"):
        imported("some", "--image-tokenizer", "vqgan")
    (files / "some" / "tokenizer.json").unlink()
    with pytest.raises(UserError, match="no fast text tokenizer"):
        imported("some", "--image-tokenizer", "vqgan")
