"""The corrected conflict against gradients whose true cosine is known, and where it can't be told."""

import numpy as np
import pandas as pd
import pytest

from unix_lib.analyze.attenuation import corrected_by, corrected_conflict
from unix_lib.analyze.conflict_cosines import Projection, conflict_table

WEIGHTS, REPEATS, CHUNKS, SPLITS = 400, 40, 8, 10
NOISE = 4.0  # length of a document's noise beside a signal of 1: in 16 documents as much of one as of the other


def simulated(cosine: float, group: int) -> pd.DataFrame:
    """Conflict of made-up gradients, `group` documents in each group; every layer is a new draw of documents."""
    rng = np.random.default_rng(group)
    signal = np.zeros((2 * CHUNKS, WEIGHTS))
    signal[:, 0] = 1
    signal[CHUNKS:, :2] = cosine, (1 - cosine**2) ** 0.5
    documents = group // (CHUNKS // 2)  # of a chunk, whose gradient is a sum
    products = []
    for layer in range(REPEATS):
        noise = rng.normal(0, NOISE * (documents / WEIGHTS) ** 0.5, signal.shape)
        gradients = documents * signal + noise
        products.append((Projection(layer, "v_proj", None), gradients @ gradients.T))
    return conflict_table(iter(products), CHUNKS, SPLITS, seed=2).to_pandas()


@pytest.mark.parametrize("cosine", [0.6, 0.0, -0.5])
def test_correction_finds_the_true_cosine_at_any_number_of_documents(cosine: float) -> None:
    few, many = simulated(cosine, 16), simulated(cosine, 64)
    for table, reliability in ((few, 0.5), (many, 0.8)):
        assert table.s_text.mean() == pytest.approx(reliability, abs=0.02)
        assert table.s_image.mean() == pytest.approx(reliability, abs=0.02)
        corrected = corrected_conflict(table.s_inter, table.s_text, table.s_image)
        assert corrected == pytest.approx(1 - cosine, abs=0.03)
    # The paper's c takes the noise for a difference.
    assert many.conflict.mean() - few.conflict.mean() > 0.1


def test_orthogonal_modalities_have_a_conflict_that_noise_decides() -> None:
    """16, 32 and 64 documents of each modality in a mixed group; without noise it would be 1 in all three."""
    assert [simulated(0.0, group).conflict.mean() for group in (32, 64, 128)] == pytest.approx(
        [1 / 2, 2 / 3, 4 / 5], abs=0.02
    )


def test_ratio_of_means() -> None:
    """A split with a reliability below 0 counts like every other; nothing is clipped."""
    assert corrected_conflict([0.2, 0.4], [-0.1, 0.9], [0.3, 0.5]) == pytest.approx(1 - 0.3 / 0.4)
    assert corrected_conflict(0.3, 0.4, 0.4) == pytest.approx(0.25)
    assert corrected_conflict(-0.5, 0.2, 0.2) == pytest.approx(3.5)


@pytest.mark.parametrize("noisy", [0.0, -0.1, float("nan")])
def test_too_noisy_to_tell(noisy: float) -> None:
    assert np.isnan(corrected_conflict([0.1, 0.1], [noisy, noisy], [0.5, 0.5]))
    assert np.isnan(corrected_conflict([0.1, 0.1], [0.5, 0.5], [noisy, noisy]))


def test_groups_average_first() -> None:
    rows = pd.DataFrame(
        {
            "layer": [0, 0, 1, 1, 2],
            "seed": [1, 2, 1, 2, 1],
            "s_inter": [0.2, 0.4, 0.1, 0.1, None],
            "s_text": [-0.1, 0.9, -0.2, 0.1, None],
            "s_image": [0.3, 0.5, 0.5, 0.5, None],
        }
    )
    found = corrected_by(rows, ["layer"])
    assert found[0] == pytest.approx(0.25)
    assert found[1:].isna().all()
    assert corrected_by(rows, ["layer", "seed"])[(0, 2)] == pytest.approx(1 - 0.4 / 0.45**0.5)
