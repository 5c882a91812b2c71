"""Uses per epoch from whatever unit a mixture speaks in, against the tokens that come of them."""

import numpy as np
import pytest

from unix_lib.config.mixture_weights import epoch_weights
from unix_lib.config.pack import MixturePart
from unix_lib.config.strict import ConfigError


def parts_of(*units: dict[str, float]) -> list[MixturePart]:
    return [MixturePart.model_validate({"source": f"s{number}"} | unit) for number, unit in enumerate(units)]


def tokens_of(parts: list[MixturePart], own: list[float]) -> list[float]:
    """What an epoch has of each part."""
    return [weight * tokens for weight, tokens in zip(epoch_weights("mixed", parts, own), own, strict=True)]


def test_weights_stay_what_they_are_whatever_the_sizes() -> None:
    parts = parts_of({"weight": 2.5}, {}, {"weight": 0.1})
    assert epoch_weights("mixed", parts, [0, 0, 0]) == epoch_weights("mixed", parts, [7, 0, 1e12]) == [2.5, 1.0, 0.1]


def test_random_mixtures_come_out_as_they_were_asked_for() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        count = int(rng.integers(1, 6))
        own = rng.integers(1_000, 50_000, count).tolist()
        shares = rng.dirichlet(np.ones(count + 1))[:count].round(3)
        units = [
            [{"weight": 1.5}, {"tokens": int(rng.integers(500, 90_000))}, {"share": max(0.001, float(share))}][choice]
            for choice, share in zip(rng.integers(0, 3, count).tolist(), shares, strict=True)
        ]
        if all("share" in unit for unit in units):
            continue
        parts = parts_of(*units)
        tokens = tokens_of(parts, own)
        for part, given, has in zip(parts, tokens, own, strict=True):
            if part.share is not None:
                assert given / sum(tokens) == pytest.approx(part.share)
            else:
                assert given == pytest.approx(part.tokens or 1.5 * has)


def test_where_every_part_has_a_share_the_scarcest_is_used_once_and_none_is_repeated() -> None:
    parts = parts_of({"share": 0.5}, {"share": 0.3}, {"share": 0.2})
    for own in ([5000, 100, 9000], [10, 1e9, 1e9], [5, 3, 2]):
        weights = epoch_weights("mixed", parts, own)
        assert max(weights) == pytest.approx(1)
        tokens = tokens_of(parts, own)
        assert [given / sum(tokens) for given in tokens] == pytest.approx([0.5, 0.3, 0.2])


def test_a_part_without_tokens_can_give_none() -> None:
    for unit in ({"tokens": 100}, {"share": 0.5}):
        with pytest.raises(ConfigError, match=r"pack\.mixtures\.mixed\.parts: source s1 is to give tokens and has no"):
            epoch_weights("mixed", parts_of({}, unit), [100, 0])
    with pytest.raises(ConfigError, match="the parts without a share have no tokens"):
        epoch_weights("mixed", parts_of({}, {"share": 0.5}), [0, 100])


def test_a_source_is_not_repeated_without_end() -> None:
    with pytest.raises(ConfigError, match=r"source s0 has 10 tokens and would be used 100000 times an epoch"):
        epoch_weights("mixed", parts_of({"tokens": 1_000_000}), [10])
