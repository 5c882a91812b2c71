"""Distances between sets of images: against closed forms and brute force, and whole jobs on a source's own images."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import linalg

from tests.evaluate.small import GENERATE, SmallExperiment
from tests.jobs.making import make_job
from tests.judges.tiny import clip
from tests.sources.making import make
from unix_lib.benchmarks.errors import BenchmarkError
from unix_lib.benchmarks.settings import CaptionImages
from unix_lib.evaluate.benchmark import Answers
from unix_lib.evaluate.image_distance import frechet_distance, jackknifed, kernel_distance, score_distance
from unix_lib.evaluate.plain_features import FEATURES, plain_features
from unix_lib.evaluate.scorers.image_distance import DistanceScoring, Featured

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
            {"scorer": "image_distance", "scorer_version": 1, "chance": 0.0, "features": model} | common
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
    answers = distance(small, images, clip(tmp_path / "some-clip"))
    width = len(pq.read_table(answers.judging / "features.parquet")["features"][0])
    assert width == 8  # of the tiny model's embeddings
    result = score_distance(answers)
    assert [score.metric for score in result.scores] == ["clip_frechet", "clip_kernel", "clip_frechet_own_halves"]
    assert result.protocol == "drawn captions against own images, some-clip"


def test_too_few_images_are_no_distance(small: SmallExperiment, images: str) -> None:
    with pytest.raises(BenchmarkError, match=r"own: 2 images drawn and \d own ones; hold more out"):
        score_distance(distance(small, images, limit=2))
