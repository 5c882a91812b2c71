"""Files that a user brings: where from, of all that the shipped experiments miss."""

from pathlib import Path

import pytest

from tests.fetch.test_fetch import ROOT
from unix_lib.config import load_experiment
from unix_lib.config.needs import Need
from unix_lib.fetch.brought import KNOWN, brought
from unix_lib.fetch.needs import needs_of


@pytest.mark.parametrize("config", ["entropy", "one-gpu", "ablation-1.5b", "unix-3b"])
def test_of_every_file_that_a_shipped_experiment_misses_it_is_known_where_from(config: str) -> None:
    local = [need for need in needs_of(load_experiment(ROOT / "config" / f"{config}.yaml")) if need.local is not None]
    assert local
    for need in local:
        known = brought(need)
        assert known is not None and known.where and str(known), need.what


def test_a_file_of_ones_own_is_known_to_nobody() -> None:
    for path in ("data/own/photos.tsv", "data/XMME.tsv", "minigemini"):
        assert brought(Need("it", local=Path(path))) is None
    assert brought(Need("it", task="mmlu")) is None
    assert all(not known.gated and known.bytes is None for known in KNOWN.values())
