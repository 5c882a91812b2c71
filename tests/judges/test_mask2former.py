"""The judge of real objects on tiny random models: names, colours, and what it refuses to judge with."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, CLIPModel

from tests.judges import tiny
from tests.workflow.project import ROOT
from unix_lib.config.evaluate import EvaluateConfig, JudgeKind
from unix_lib.config.kinds import find_kind
from unix_lib.evaluate.generation import judge_called
from unix_lib.judges import clip_colors, instances, mask2former_detector
from unix_lib.judges.clip_colors import COLORS, ColorReader, crop_of
from unix_lib.judges.coco_classes import CLASSES
from unix_lib.judges.endpoint import EndpointJudge
from unix_lib.judges.instances import Instance
from unix_lib.judges.judge import JudgeError, NoVerdict, UnfitJudgeError, open_judge
from unix_lib.judges.mask2former import Mask2FormerJudge
from unix_lib.judges.mask2former_detector import Mask2FormerDetector, open_detector
from unix_lib.judges.pretrained import JudgeModel

RANDOM = np.random.default_rng(0)
IMAGES = [RANDOM.integers(0, 256, (*size, 3), dtype=np.uint8) for size in ((24, 24), (20, 34), (24, 24), (24, 24))]


@pytest.fixture(autouse=True)
def small_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instances, "LONGEST", 133)
    monkeypatch.setattr(instances, "SHORTEST", 80)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("models")
    detector, clip = tiny.mask2former(folder / "detector", scale=30), tiny.clip(folder / "clip")
    return {"kind": "mask2former", "detector": {"path": str(detector)}, "clip": {"path": str(clip)}, "device": "cpu"}


def settings(models: dict[str, Any], **others: Any) -> Mask2FormerJudge:
    low = {"confidence": 0.02, "counting_confidence": 0.3, "known_image": None}
    return Mask2FormerJudge.model_validate(models | low | others)


def test_objects_are_those_of_the_logits_in_any_batch(models: dict[str, Any]) -> None:
    alone = Mask2FormerDetector(settings(models, batch_size=1)).objects(IMAGES)
    together = Mask2FormerDetector(settings(models, batch_size=2)).objects(IMAGES)
    for one, other in zip(alone, together, strict=True):
        assert [(seen.name, seen.box, seen.color) for seen in one] == [(s.name, s.box, s.color) for s in other]
        np.testing.assert_allclose([s.confidence for s in one], [s.confidence for s in other], rtol=1e-4)
    assert {seen.name for seen in alone[0]} <= set(CLASSES) and len(alone[0]) > 5
    assert min(seen.confidence for found in alone for seen in found) > 0.02


def test_only_colors_that_are_asked_for_are_read(models: dict[str, Any]) -> None:
    detector = Mask2FormerDetector(settings(models))
    everything = detector.objects(IMAGES[:1])[0]
    name = next(seen.name for seen in everything if [s.name for s in everything].count(seen.name) > 1)
    some = detector.objects(IMAGES[:1], [{name: 1, "dog": 2}])[0]
    colored = [seen for seen in some if seen.color and seen.name == name]
    assert len(colored) == 1
    assert colored[0].confidence == max(seen.confidence for seen in some if seen.name == name)
    assert colored[0] in everything and {seen.name for seen in some if seen.color} <= {name, "dog"}
    assert all(seen.color for seen in everything)


def test_a_crop_is_the_object_on_grey() -> None:
    image = Image.fromarray(IMAGES[1])
    mask = RANDOM.random((20, 34)) > 0.5
    mask[:, :4] = mask[:3] = False
    rows, columns = np.nonzero(mask)
    box = int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1
    expected = Image.composite(image, Image.new("RGB", image.size, "#999"), Image.fromarray(mask)).crop(box)
    assert np.array_equal(np.asarray(crop_of(IMAGES[1], Instance(0, 0.9, box, mask))), np.asarray(expected))


@pytest.mark.parametrize("size", [(50, 40), (10, 61), (32, 32), (33, 300)])
def test_crops_are_prepared_as_open_clip_does(size: tuple[int, int]) -> None:
    crop = Image.fromarray(RANDOM.integers(0, 256, (*size[::-1], 3), dtype=np.uint8))
    width, height = size
    short, long = min(size), max(size)
    new = (32, int(32 * long / short)) if width <= height else (int(32 * long / short), 32)
    resized = np.asarray(crop.resize(new, Image.Resampling.BICUBIC), np.float64) / 255
    top, left = round((new[1] - 32) / 2), round((new[0] - 32) / 2)
    mean, std = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    expected = (resized[top : top + 32, left : left + 32] - mean) / std
    np.testing.assert_allclose(clip_colors.prepared(crop, 32).numpy(), expected.transpose(2, 0, 1), atol=1e-5)


def test_colors_are_those_of_the_nearest_sentences(models: dict[str, Any]) -> None:
    path = models["clip"]["path"]
    reader = ColorReader(JudgeModel(path=path), "cpu")
    model, tokenizer = CLIPModel.from_pretrained(path).eval(), AutoTokenizer.from_pretrained(path)
    crops = [Image.fromarray(RANDOM.integers(0, 256, (40, 40, 3), dtype=np.uint8)) for _ in range(12)]
    crops += [Image.new("RGB", (40, 30), color) for color in COLORS]
    said = set()
    for name in ("dog", "potted plant"):
        directions = []
        for color in COLORS:
            mean = np.zeros(8)
            for text in (
                f"a photo of a {color} {name}",
                f"a photo of a {color}-colored {name}",
                f"a photo of a {color} object",
            ):
                with torch.inference_mode():
                    said_at = model.get_text_features(**tokenizer(text, return_tensors="pt")).pooler_output
                vector = said_at[0].numpy()
                mean += vector / np.linalg.norm(vector) / 3
            directions.append(mean / np.linalg.norm(mean))
        expected = []
        for crop in crops:
            with torch.inference_mode():
                vector = model.get_image_features(clip_colors.prepared(crop, 32)[None]).pooler_output[0].numpy()
            expected.append(COLORS[int(np.argmax(directions @ vector))])
        assert reader.read(crops, name) == expected
        said |= set(expected)
    assert len(said) > 1


def test_weights_that_misread_the_known_image_judge_nothing(models: dict[str, Any]) -> None:
    with pytest.raises(UnfitJudgeError, match=r"first in grace_hopper\.jpg, which shows a person, .* not fit to judge"):
        open_detector(settings(models, known_image={"confidence": 0.999}), 0)


def test_a_clip_that_misreads_plain_colors_judges_nothing(
    models: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "known.png"
    Image.fromarray(IMAGES[0]).save(path)
    surest = max(Mask2FormerDetector(settings(models)).objects(IMAGES[:1])[0], key=lambda seen: seen.confidence)
    known = {"path": str(path), "shows": surest.name, "confidence": surest.confidence - 0.01}
    with pytest.raises(UnfitJudgeError, match=r"CLIP named \d of 10 plain colours, less than 8"):
        open_detector(settings(models, known_image=known), 0)
    with pytest.raises(UnfitJudgeError, match=rf"{surest.name} .* which shows a zebra"):
        open_detector(settings(models, known_image=known | {"shows": "zebra"}), 0)
    monkeypatch.setattr(mask2former_detector, "LEAST_COLORS_READ", 0)
    assert open_detector(settings(models, known_image=known), 0).objects(IMAGES[:1])[0]
    with pytest.raises(UnfitJudgeError, match="with a confidence of 1 or more"):
        open_detector(settings(models, known_image=known | {"confidence": 1.0}), 0)
    path.write_bytes(b"no picture")
    with pytest.raises(JudgeError, match="give a picture that can be read"):
        open_detector(settings(models, known_image=known), 0)


def test_what_is_no_number_is_no_empty_image(models: dict[str, Any]) -> None:
    detector = Mask2FormerDetector(settings(models))
    with torch.no_grad():
        detector._detector.class_predictor.bias[3] = torch.nan
    with pytest.raises(NoVerdict, match="no numbers"):
        detector.objects(IMAGES[:1])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_sees_what_a_cpu_sees(models: dict[str, Any]) -> None:
    here, there = (Mask2FormerDetector(settings(models | {"device": name})) for name in ("cpu", "cuda"))
    for one, other in zip(here.objects(IMAGES), there.objects(IMAGES), strict=True):
        assert [(seen.name, seen.color) for seen in one] == [(seen.name, seen.color) for seen in other]
        np.testing.assert_allclose([s.confidence for s in one], [s.confidence for s in other], rtol=1e-3)


def test_plain_discs_have_their_colors() -> None:
    for color in COLORS:
        disc = np.asarray(mask2former_detector._disc(color))
        assert tuple(disc[0, 0]) == (0x99,) * 3 and tuple(disc[112, 112]) != (0x99,) * 3


def test_weights_that_are_not_whole_or_of_other_classes_are_refused(models: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(JudgeError, match=r"none: no CLIPModel here|run `unix-lib fetch`"):
        Mask2FormerDetector(settings(models, clip={"path": str(tmp_path / "none")}))
    other = tiny.mask2former(tmp_path / "other", labels=("dog", "wardrobe"))
    with pytest.raises(JudgeError, match=r"not a detector of COCO's 80 classes, but of 2 \(wardrobe"):
        Mask2FormerDetector(settings(models, detector={"path": str(other)}))
    smaller = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(smaller | {"num_queries": 11}))
    with pytest.raises(JudgeError, match=r"weights of a Mask2Former\w+ are missing or of another shape|no Mask2Former"):
        Mask2FormerDetector(settings(models, detector={"path": str(other)}))
    (other / "config.json").write_text(json.dumps(smaller))
    weights = load_file(other / "model.safetensors")
    del weights["class_predictor.weight"]
    save_file(weights, other / "model.safetensors", {"format": "pt"})
    with pytest.raises(JudgeError, match=r"1 weights of a Mask2Former\w+ are missing .* class_predictor\.weight"):
        Mask2FormerDetector(settings(models, detector={"path": str(other)}))


def test_scores_name_the_detector_and_thresholds_are_those_of_the_task() -> None:
    judge = Mask2FormerJudge(kind="mask2former")
    assert judge_called(judge, 1) == "mask2former 1 mask2former-swin-small-coco-instance clip-vit-large-patch14"
    assert judge.protocol == "geneval_hf"
    assert [judge.least_confidence(task) for task in ("counting", "colors")] == [0.9, 0.3]
    assert settings({}, kind="mask2former").model_name().endswith(" unchecked")
    assert {need.repository and need.repository.repository for need in judge.needs("real")} == {
        "facebook/mask2former-swin-small-coco-instance",
        "openai/clip-vit-large-patch14",
    }
    endpoint = EndpointJudge(kind="endpoint", url="http://localhost", confidence=0.4)
    assert [endpoint.least_confidence(task) for task in ("counting", "colors")] == [0.4, 0.4]
    assert "confidence" not in EndpointJudge(kind="endpoint", url="http://localhost").semantic()


def test_how_it_is_run_comes_from_the_config(models: dict[str, Any]) -> None:
    """The recipe has no batch size; what the plan found out about files does not hide the config's."""
    configured = settings(models, batch_size=3)
    identity = {"identity": {"count": 1, "bytes": 1, "sha256": "0"}}
    planned = settings(
        {"kind": "mask2former", "detector": models["detector"] | identity, "clip": models["clip"] | identity}
    )
    assert "batch_size" not in planned.semantic() and planned.semantic() != configured.semantic()
    version = find_kind("judge", "mask2former", JudgeKind).logic_version
    assert open_judge(planned, version, 0, {"real": configured}).batch_size == 3


def test_configs_of_the_docs_are_some() -> None:
    text = (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8")
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)]
    configs = [
        EvaluateConfig.model_validate(block["evaluate"]) for block in blocks if "groups" in block.get("evaluate", {})
    ]
    assert len(configs) >= 2
    assert configs[0].all_judges()["real"] == Mask2FormerJudge(kind="mask2former")
