"""A shared checkpoint as Qwen's: the same logits in a process that knows nothing of this package; others refused."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, Qwen2ForCausalLM
from typer.testing import CliRunner

from tests.evaluate.conftest import SmallExperiment, small  # noqa: F401  a fixture
from tests.models.small import PLANS, QWEN3_SHAPE, VOCABULARY, image, logits_of, shaped, small_model, text
from unix_lib.__main__ import app
from unix_lib.models import ModelError, UnixConfig, UnixForCausalLM
from unix_lib.models.checkpoint import load_model
from unix_lib.models.export import export
from unix_lib.models.start import fresh_model

IN_ANOTHER_PROCESS = """
import sys, json, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
model = AutoModelForCausalLM.from_pretrained(sys.argv[1])
ids = torch.tensor([json.loads(sys.argv[2])])
with torch.no_grad():
    torch.save(model(ids).logits[0], sys.argv[3])
assert not [name for name in sys.modules if name.startswith("unix_lib")]
print(type(model).__name__, model.dtype)
"""


def in_another_process(folder: Path, ids: list[int]) -> tuple[str, torch.Tensor]:
    """What loads there, and its logits, (length, V)."""
    logits = folder.parent / "logits.pt"
    finished = subprocess.run(
        [sys.executable, "-c", IN_ANOTHER_PROCESS, str(folder), json.dumps(ids), str(logits)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder.parent,
        env={"OMP_NUM_THREADS": "1", "PATH": ""},
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.strip(), torch.load(logits)


def untied_qwen3() -> UnixForCausalLM:
    return fresh_model(shaped(QWEN3_SHAPE, tie_embeddings=False), PLANS["shared"], VOCABULARY, 3).eval()


@pytest.mark.parametrize("family", ["Qwen2", "Qwen3"])
def test_logits_are_the_same(family: str, tmp_path: Path) -> None:
    model = small_model(PLANS["shared"]) if family == "Qwen2" else untied_qwen3()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("bias", "norm.weight")):
                parameter.add_(torch.randn_like(parameter) * 0.2)
    model.save_pretrained(tmp_path / "ours")
    VOCABULARY.write(tmp_path / "ours")
    export(tmp_path / "ours", tmp_path / "exported")
    random = np.random.default_rng(1)
    document = text(random, 4) + image(random) + text(random, 6)
    loaded, logits = in_another_process(tmp_path / "exported", document)
    assert loaded == f"{family}ForCausalLM torch.float32"
    torch.testing.assert_close(logits, logits_of(model, [document])[0], rtol=0, atol=1e-5)
    assert (tmp_path / "exported" / "vocabulary.json").is_file()
    assert "unix" not in (tmp_path / "exported" / "config.json").read_text()
    with pytest.raises(ModelError, match="exists already"):
        export(tmp_path / "ours", tmp_path / "exported")


def test_precision_is_kept(tmp_path: Path) -> None:
    small_model(PLANS["shared"]).to(torch.bfloat16).save_pretrained(tmp_path / "ours")
    export(tmp_path / "ours", tmp_path / "exported")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "exported")
    assert isinstance(loaded, Qwen2ForCausalLM) and loaded.dtype == torch.bfloat16
    unnamed = range(VOCABULARY.text_size, VOCABULARY.image_offset)
    assert loaded.generation_config.suppress_tokens == [*unnamed]  # its own `generate()` draws none of them either


def test_a_folder_below_a_file_is_one_line(tmp_path: Path) -> None:
    small_model(PLANS["shared"]).save_pretrained(tmp_path / "ours")
    (tmp_path / "file").write_text("x")
    for output in (tmp_path / "file" / "below", tmp_path / "file" / "far" / "below", tmp_path / ("x" * 300)):
        with pytest.raises(ModelError, match=r"can't be made a folder \(.*\); give another one$") as refused:
            export(tmp_path / "ours", output)
        assert "\n" not in str(refused.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "ours"]


@pytest.mark.parametrize("plan", [name for name in PLANS if name != "shared"])
def test_other_plans_are_refused(plan: str, tmp_path: Path) -> None:
    small_model(PLANS[plan]).save_pretrained(tmp_path / "ours")
    with pytest.raises(ModelError, match=r"can't be exported: in a Qwen model all tokens share .* \d of 5 layers"):
        export(tmp_path / "ours", tmp_path / "exported")
    assert not (tmp_path / "exported").exists()


def test_what_no_qwen_has_is_refused(tmp_path: Path) -> None:
    UnixForCausalLM(UnixConfig(**untied_qwen3().config.to_dict() | {"attention_bias": True})).save_pretrained(
        tmp_path / "ours"
    )
    with pytest.raises(ModelError, match="here both are there"):
        export(tmp_path / "ours", tmp_path / "exported")


def test_the_command(small: SmallExperiment, tmp_path: Path) -> None:  # noqa: F811
    checkpoint = small.results / small.checkpoint
    finished = CliRunner().invoke(app, ["export", str(checkpoint), str(tmp_path / "new" / "qwen")])
    assert finished.exit_code == 0, finished.exception
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "new" / "qwen")
    assert isinstance(loaded, Qwen2ForCausalLM)
    ids = torch.arange(3, 20)[None]
    with torch.no_grad():
        expected = load_model(checkpoint / "model").eval()(ids).logits
        torch.testing.assert_close(loaded.eval()(ids).logits, expected, rtol=0, atol=1e-5)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["qwen"]  # nothing half-written beside it
    assert (tmp_path / "new" / "qwen" / "tokenizer.json").is_file()
