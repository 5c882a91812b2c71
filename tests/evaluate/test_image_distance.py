"""Distances between sets of images: against closed forms and brute force, and whole jobs on a source's own images."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from scipy import linalg
from transformers import (
    BertConfig,
    BertModel,
    BitImageProcessorPil,
    ConvNextImageProcessorPil,
    Dinov2Config,
    Dinov2Model,
    ResNetConfig,
    ResNetModel,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessorPil,
    ViTModel,
)

from tests.evaluate.small import GENERATE, SmallExperiment
from tests.jobs.making import make_job
from tests.judges.tiny import clip
from tests.sources.making import make
from unix_lib.benchmarks.errors import BenchmarkError
from unix_lib.benchmarks.settings import CaptionImages
from unix_lib.evaluate.benchmark import Answers
from unix_lib.evaluate.image_distance import frechet_distance, jackknifed, kernel_distance, score_distance
from unix_lib.evaluate.model_features import model_features
from unix_lib.evaluate.plain_features import FEATURES, plain_features
from unix_lib.evaluate.scorers.image_distance import DistanceScoring, Featured, FeatureModel
from unix_lib.judges.judge import JudgeError

RNG = np.random.default_rng(0)
FIRST, SECOND = RNG.normal(size=(40, 5)), RNG.normal(0.5, 2.0, size=(30, 5))


def test_the_frechet_distance_is_that_of_a_matrix_square_root() -> None:
    covariances = [np.cov(each, rowvar=False) for each in (FIRST, SECOND)]
    means = FIRST.mean(axis=0) - SECOND.mean(axis=0)
    root = linalg.sqrtm(covariances[0] @ covariances[1]).real
    wanted = means @ means + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert frechet_distance(FIRST, SECOND) == pytest.approx(wanted)
    assert frechet_distance(FIRST, FIRST) == pytest.approx(0.0, abs=1e-9)
    assert frechet_distance(FIRST, FIRST + 2) == pytest.approx(5 * 4)
    few = RNG.normal(size=(3, 5))  # fewer than features
    assert frechet_distance(few, SECOND) > 0


def test_the_kernel_distance_is_the_mean_over_pairs_and_has_no_bias() -> None:
    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / 5 + 1) ** 3)

    within = [
        np.mean([kernel(a, b) for i, a in enumerate(each) for j, b in enumerate(each) if i != j])
        for each in (FIRST, SECOND)
    ]
    between = np.mean([kernel(a, b) for a in FIRST for b in SECOND])
    assert kernel_distance(FIRST, SECOND) == pytest.approx(sum(within) - 2 * between)
    drawn = [np.split(RNG.normal(size=(16, 5)), 2) for _ in range(400)]
    distances, frechet = (np.array([of(*pair) for pair in drawn]) for of in (kernel_distance, frechet_distance))
    assert abs(distances.mean()) < 3 * distances.std() / 20
    assert frechet.mean() > 3 * frechet.std() / 20  # of two sets of one population: what few images alone give


def test_the_interval_of_a_mean_is_that_of_its_standard_error() -> None:
    values = RNG.normal(size=(400, 1))
    estimate = jackknifed(lambda a, b: float(a.mean()), values, values)
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.standard_error == pytest.approx(values.std() / 20, rel=0.8)
    assert estimate.low < estimate.value < estimate.high and estimate.n == 400


def test_plain_statistics_see_colours_and_where_they_are() -> None:
    image = np.zeros((2, 32, 32, 3), dtype=np.uint8)
    image[0, :16, :, 0] = 255
    features = plain_features(image)
    assert features.shape == (2, FEATURES)
    np.testing.assert_array_equal(features[1], 0)
    cells = features[0, : 3 * 16].reshape(4, 4, 3)
    np.testing.assert_array_equal(cells[:2, :, 0], 1)
    assert not cells[2:].any() and not cells[..., 1:].any()


@pytest.fixture(scope="module")
def images(small: SmallExperiment) -> str:
    made = make(small.results, "pictures", kind="shapes", train_scenes=30, heldout_scenes=24)
    return f"sources/{made['images'].folder.name}"


def distance(small: SmallExperiment, images: str, features: Path | None = None, limit: int = 12) -> Any:
    """The jobs that draw and that look, done."""
    common: dict[str, Any] = {"split": "heldout", "limit": limit}
    sampling = GENERATE.image_sampling.model_copy(update={"images_per_prompt": 1})
    asked = CaptionImages(**common, image_sampling=sampling)
    records = {"records": [small.records]}
    inputs = {"checkpoint": small.checkpoint, "image_tokenizer": small.image_tokenizer} | records
    drawn = make_job(small.results, "generate", "tiny-step-00000-own", "image_distance", asked, inputs)
    drawn.make()
    model = None if features is None else {"path": str(features)}
    looked = make_job(
        small.results,
        "evaluate",
        "tiny-step-00000-own-judging",
        "judging/image_distance",
        Featured.model_validate(common | {"features": model}),
        {"answers": drawn.recipe.artefact, "images": [images]} | records,
    )
    looked.make()
    return Answers(
        name="own",
        settings=DistanceScoring.model_validate(
            {"scorer": "image_distance", "scorer_version": 2, "chance": 0.0, "features": model} | common
        ),
        folder=drawn.folder,
        source=None,
        bootstrap_samples=100,
        work=small.results / "work",
        judging=looked.folder,
    )


def test_drawn_images_are_held_against_those_of_the_same_captions(small: SmallExperiment, images: str) -> None:
    answers = distance(small, images)
    table = pq.read_table(answers.judging / "features.parquet")
    of = table["of"].to_pylist()
    assert of.count("drawn") == 12 and 0 < of.count("own") <= 12
    result = score_distance(answers)
    scores = {score.metric: score.estimate for score in result.scores}
    assert scores.keys() == {
        "plain_statistics_frechet",
        "plain_statistics_kernel",
        "plain_statistics_frechet_own_halves",
    }
    # Of random weights: further from the scenes than those are from each other.
    assert scores["plain_statistics_frechet"].value > scores["plain_statistics_frechet_own_halves"].value > 0
    assert scores["plain_statistics_frechet"].n == of.count("own")
    assert result.protocol == "drawn captions against own images, plain statistics"


def test_a_model_that_is_brought_names_the_metric(small: SmallExperiment, images: str, tmp_path: Path) -> None:
    answers = distance(small, images, clip(tmp_path / "Some-CLIP.v2"))
    width = len(pq.read_table(answers.judging / "features.parquet")["features"][0])
    assert width == 8  # of the tiny model's embeddings
    result = score_distance(answers)
    metrics = [f"some_clip_v2_{end}" for end in ("frechet", "kernel", "frechet_own_halves")]
    assert [score.metric for score in result.scores] == metrics
    assert result.protocol == "drawn captions against own images, Some-CLIP.v2"


LAYERS = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
SIDE = {"image_size": 32, "patch_size": 8}
# Tiny random models with an image processor each: the pooled features as the model's own paper has them.
MODELS: dict[str, tuple[Any, Any, Callable[[Any, Any], Any]]] = {
    "dinov2": (
        Dinov2Model(Dinov2Config(**LAYERS, **SIDE, mlp_ratio=1)),
        BitImageProcessorPil(size={"shortest_edge": 36}, crop_size={"height": 32, "width": 32}),
        lambda model, pixels: model(pixels).last_hidden_state[:, 0],
    ),
    "vit": (
        ViTModel(ViTConfig(**LAYERS, **SIDE)),
        ViTImageProcessorPil(size={"height": 32, "width": 32}),
        lambda model, pixels: torch.tanh(model.pooler.dense(model(pixels).last_hidden_state[:, 0])),
    ),
    "resnet": (
        ResNetModel(ResNetConfig(embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1])),
        ConvNextImageProcessorPil(size={"shortest_edge": 32}),
        lambda model, pixels: model(pixels).last_hidden_state.mean(dim=(2, 3)),
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_any_vision_model_that_pools_gives_features(name: str, tmp_path: Path) -> None:
    network, processor, expected = MODELS[name]
    for part in (network.eval(), processor):
        part.save_pretrained(tmp_path / name)
    pictures = RNG.integers(0, 256, (3, 40, 40, 3), dtype=np.uint8)
    found = model_features(FeatureModel(path=str(tmp_path / name)), "cpu")(pictures)
    with torch.inference_mode():
        wanted = expected(
            network, processor([Image.fromarray(each) for each in pictures], return_tensors="pt")["pixel_values"]
        )
    assert found.dtype == np.float32 and found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-5, atol=1e-6)


def test_a_model_without_pooled_features_of_images_is_refused(tmp_path: Path) -> None:
    _, processor, _ = MODELS["vit"]
    given = {
        "texts": BertModel(BertConfig(**LAYERS, vocab_size=16)),
        "places": ViTModel(ViTConfig(**LAYERS, **SIDE), add_pooling_layer=False),
        "classes": ViTForImageClassification(ViTConfig(**LAYERS, **SIDE)),
    }
    told = {"texts": "a BertModel gives no pooled features", "places": "missing", "classes": "missing"}
    for name, network in given.items():
        for part in (network, processor):
            part.save_pretrained(tmp_path / name)
        with pytest.raises(JudgeError, match=told[name]):
            model_features(FeatureModel(path=str(tmp_path / name)), "cpu")
    MODELS["vit"][0].save_pretrained(tmp_path / "bare")
    with pytest.raises(JudgeError, match="no AutoImageProcessor here"):
        model_features(FeatureModel(path=str(tmp_path / "bare")), "cpu")


def test_too_few_images_are_no_distance(small: SmallExperiment, images: str) -> None:
    with pytest.raises(BenchmarkError, match=r"own: 2 images drawn and \d own ones; hold more out"):
        score_distance(distance(small, images, limit=2))
