"""Mask2Former's post-processing against mmdet's rules, written out with numpy, on a tiny random model."""

import numpy as np
import pytest
import torch
from transformers import Mask2FormerForUniversalSegmentation

from tests.judges import tiny
from unix_lib.judges import instances
from unix_lib.judges.instances import fitted_size, instances_of, prepared

LEAST = 0.02


@pytest.fixture(autouse=True)
def small_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of the pixels along a side."""
    monkeypatch.setattr(instances, "LONGEST", 133)
    monkeypatch.setattr(instances, "SHORTEST", 80)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Mask2FormerForUniversalSegmentation:
    folder = tiny.mask2former(tmp_path_factory.mktemp("detector"), scale=30)
    return Mask2FormerForUniversalSegmentation.from_pretrained(folder).eval()


def bilinear(array: np.ndarray, height: int, width: int) -> np.ndarray:
    """float64 (h, w) at another size, each new pixel at its own middle, none of its neighbours smoothed in."""

    def between(old: int, new: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        place = np.maximum((np.arange(new) + 0.5) * old / new - 0.5, 0)
        first = np.minimum(place.astype(int), old - 1)
        return first, np.minimum(first + 1, old - 1), place - first

    top, bottom, down = between(array.shape[0], height)
    left, right, across = between(array.shape[1], width)
    rows = array[top] * (1 - down)[:, None] + array[bottom] * down[:, None]
    return rows[:, left] * (1 - across) + rows[:, right] * across


def reference_input(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    scale = min(133 / max(height, width), 80 / min(height, width))
    new = int(height * scale + 0.5), int(width * scale + 0.5)
    planes = [np.rint(bilinear(image[..., channel].astype(float), *new)) for channel in range(3)]
    normal = [
        (plane - mean) / std
        for plane, mean, std in zip(planes, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375), strict=True)
    ]
    whole = np.zeros((3, -(-new[0] // 32) * 32, -(-new[1] // 32) * 32))
    whole[:, : new[0], : new[1]] = normal
    return whole


def reference_instances(classes: np.ndarray, masks: np.ndarray, size: tuple[int, int], padded: tuple[int, int]) -> list:
    """(class, score, box, mask) of one image by mmdet's rules, in no order; float64."""
    scale = min(133 / max(size), 80 / min(size))
    new = int(size[0] * scale + 0.5), int(size[1] * scale + 0.5)
    exponents = np.exp(classes - classes.max(axis=1, keepdims=True))
    probabilities = (exponents / exponents.sum(axis=1, keepdims=True))[:, :-1]
    pairs = [(probabilities[q, c], q, c) for q in range(len(classes)) for c in range(probabilities.shape[1])]
    at_size = [bilinear(bilinear(mask, *padded)[: new[0], : new[1]], *size) for mask in masks]
    found = []
    for probability, query, label in sorted(pairs, reverse=True)[:100]:
        mask = at_size[query] > 0
        sure = (1 / (1 + np.exp(-at_size[query])))[mask]
        score = probability * sure.sum() / (mask.sum() + 1e-6)
        if score > LEAST:
            rows, columns = np.nonzero(mask)
            found.append((label, score, (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1), mask))
    return found


@pytest.mark.parametrize("size", [(24, 24), (20, 34), (90, 61), (200, 150)])
def test_instances_are_those_of_the_rules(model: Mask2FormerForUniversalSegmentation, size: tuple[int, int]) -> None:
    image = np.random.default_rng(size[0]).integers(0, 256, (*size, 3), dtype=np.uint8)
    pixels = prepared(torch.from_numpy(image)[None])
    assert pixels.shape[2] % 32 == pixels.shape[3] % 32 == 0
    np.testing.assert_allclose(pixels[0].numpy(), reference_input(image), atol=1.01 / 57)  # a level, where halves round
    assert (np.abs(pixels[0].numpy() - reference_input(image)) < 1e-4).mean() > 0.99
    with torch.inference_mode():
        seen = model(pixel_values=pixels)
    logits = seen.class_queries_logits[0], seen.masks_queries_logits[0]
    found = instances_of(*logits, size, LEAST)
    expected = reference_instances(*(each.double().numpy() for each in logits), size, tuple(pixels.shape[2:]))
    assert len(found) == len(expected) > 5
    assert len({one.label for one in found}) < len(found)  # one class of several queries
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    for label, score, box, mask in expected:
        one = min((each for each in found if each.label == label), key=lambda each: abs(each.score - score))
        assert one.score == pytest.approx(score, rel=1e-4)
        assert one.box == box
        assert (one.mask != mask).sum() <= 1  # a logit at 0


def test_one_query_gives_several_classes_and_no_object_is_none() -> None:
    classes = torch.tensor([[4.0, 4.0, 0.0, 0.0], [0.0, 0.0, 0.0, 9.0]])  # of three classes; the second sees nothing
    masks = torch.full((2, 8, 8), -6.0)
    masks[0, 2:4, 1:5] = 6.0
    found = instances_of(classes, masks, (80, 80), 0.1)
    assert sorted(one.label for one in found) == [0, 1]
    share = float(classes[0].softmax(0)[0])
    assert all(0.9 * share < one.score < share and one.box == found[0].box for one in found)
    left, top, right, bottom = found[0].box
    # The input of 80 px is padded to 96, so that a logit stands for 12 px.
    assert (left, right) == pytest.approx((12, 60), abs=1) and (top, bottom) == pytest.approx((24, 48), abs=1)
    assert (
        found[0].mask[top:bottom, left:right].any(axis=0).all()
        and found[0].mask.sum() == found[0].mask[top:bottom, left:right].sum()
    )


def test_an_empty_mask_is_no_object() -> None:
    assert instances_of(torch.tensor([[9.0, 0.0]]), torch.full((1, 8, 8), -1.0), (80, 80), 0.0) == []


@pytest.mark.parametrize(
    ("size", "fitted"),
    [((512, 512), (800, 800)), ((480, 640), (800, 1067)), ((427, 640), (800, 1199)), ((100, 1000), (133, 1333))],
)
def test_the_ratio_is_kept(monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], fitted: tuple[int, int]) -> None:
    monkeypatch.setattr(instances, "LONGEST", 1333)
    monkeypatch.setattr(instances, "SHORTEST", 800)
    assert fitted_size(*size) == fitted
    assert fitted_size(*size[::-1]) == fitted[::-1]
