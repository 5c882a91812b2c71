"""The converter of mmdet's checkpoint against what mmdet 3.3.0 itself computed with the same weights.

`mmdet_mask2former.json` has the names and shapes of a small model's tensors as mmdet has them, and some of the logits
that mmdet gave, in float64, for `mmdet_values.image` with the weights of `mmdet_values.values`.
"""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from tests.judges.mmdet_values import image, values
from unix_lib.__main__ import app
from unix_lib.judges.coco_classes import CLASSES
from unix_lib.judges.judge import JudgeError
from unix_lib.judges.mmdet_weights import detector_of
from unix_lib.judges.pretrained import JudgeModel, opened_network

GOLDEN = json.loads((Path(__file__).parent / "mmdet_mask2former.json").read_text())
# What mmdet 2 called its layers, whose checkpoint the published scores come from.
OF_VERSION_2 = {
    r"(transformer_decoder\.layers\.\d\.)cross_attn\.": r"\1attentions.0.",
    r"(transformer_decoder\.layers\.\d\.)self_attn\.": r"\1attentions.1.",
    r"(pixel_decoder\.encoder\.layers\.\d\.)self_attn\.": r"\1attentions.0.",
    r"(panoptic_head\..*layers\.\d\.)ffn\.": r"\1ffns.0.",
}


def checkpoint(path: Path, version: int = 3, **changed: Any) -> Path:
    state = {name: values(name, tuple(shape)) for name, shape in GOLDEN["tensors"].items()} | changed
    if version == 2:
        for pattern, name in OF_VERSION_2.items():
            state = {re.sub(pattern, name, old): tensor for old, tensor in state.items()}
        assert any("ffns.0" in name for name in state) and not any(".cross_attn." in name for name in state)
    state = {name: tensor for name, tensor in state.items() if tensor is not None}
    torch.save({"meta": {"CLASSES": CLASSES}, "state_dict": state}, path)
    return path


@pytest.mark.parametrize("version", [2, 3])
def test_logits_are_those_of_mmdet(tmp_path: Path, version: int) -> None:
    model = detector_of(checkpoint(tmp_path / "mmdet.pth", version)).double()
    with torch.inference_mode():
        seen = model(pixel_values=image().double())
    classes, masks = seen.class_queries_logits[0], seen.masks_queries_logits[0].flatten(1)
    expected = np.array(GOLDEN["class_logits"])
    assert expected.std() > 0.3 and np.array(GOLDEN["mask_logits"]).std() > 0.3
    np.testing.assert_allclose(classes[:, ::9].numpy(), expected, atol=2e-5)
    np.testing.assert_allclose(masks[:, ::37].numpy(), np.array(GOLDEN["mask_logits"]), atol=2e-5)


def test_the_command_writes_a_detector_that_the_judge_opens(tmp_path: Path) -> None:
    path, folder = checkpoint(tmp_path / "mmdet.pth"), tmp_path / "detector"
    done = CliRunner().invoke(app, ["judge", "convert-detector", str(path), str(folder)])
    assert done.exit_code == 0, done.output
    from transformers import Mask2FormerForUniversalSegmentation

    model = opened_network(Mask2FormerForUniversalSegmentation, JudgeModel(path=str(folder)), "cpu")
    assert tuple(model.config.id2label[index] for index in range(80)) == CLASSES
    with torch.inference_mode():
        seen, expected = model(pixel_values=image()), detector_of(path)(pixel_values=image())
    assert torch.equal(seen.class_queries_logits, expected.class_queries_logits)
    again = CliRunner().invoke(app, ["judge", "convert-detector", str(path), str(folder)])
    assert isinstance(again.exception, JudgeError) and "is there already" in str(again.exception)


def test_other_files_are_refused(tmp_path: Path) -> None:
    lacking = {"panoptic_head.cls_embed.bias": None}
    with pytest.raises(JudgeError, match=r"1 weights of Mask2Former are missing and 0 .* class_predictor\.bias"):
        detector_of(checkpoint(tmp_path / "less.pth", **lacking))
    with pytest.raises(JudgeError, match=r"0 weights .* missing and 1 are unknown, the first roi_head\.fc"):
        detector_of(checkpoint(tmp_path / "more.pth", **{"roi_head.fc": torch.zeros(2)}))
    (tmp_path / "words.pth").write_bytes(b"no checkpoint")
    with pytest.raises(JudgeError, match=r"words\.pth: no checkpoint of mmdet's Mask2Former"):
        detector_of(tmp_path / "words.pth")
    with pytest.raises(JudgeError, match="no checkpoint"):
        detector_of(tmp_path / "none.pth")
