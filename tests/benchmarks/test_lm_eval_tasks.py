"""The data sets behind tasks of lm-eval: what is said of them, and where they are missing."""

from types import SimpleNamespace

import datasets
import pytest
from huggingface_hub import constants

from unix_lib.benchmarks import lm_eval_tasks
from unix_lib.benchmarks.errors import BenchmarkError
from unix_lib.benchmarks.lm_eval_run import work_offline
from unix_lib.benchmarks.lm_eval_tasks import downloaded_of


def test_a_data_set_is_as_large_as_the_parts_of_it_that_were_downloaded() -> None:
    def task(part: str, size: int | None, licence: str = "") -> SimpleNamespace:
        info = SimpleNamespace(config_name=part, download_size=size, license=licence)
        split = SimpleNamespace(
            info=info, cache_files=[{"filename": f"/cache/owner___set/{part}/0.0.0/c0ffee/set.arrow"}]
        )
        return SimpleNamespace(dataset={"test": split}, config=SimpleNamespace(dataset_path="owner/set"))

    in_memory = SimpleNamespace(dataset={"test": SimpleNamespace(info=SimpleNamespace(), cache_files=[])})
    tasks = {"a": task("algebra", 300, "mit"), "b": task("biology", 20, "mit"), "again": task("algebra", 300, "mit")}
    assert downloaded_of({"tasks": tasks | {"own": in_memory}}) == {"owner/set@c0ffee": ("mit", 320)}


def test_data_that_are_missing_are_said_to_be_at_once_whatever_was_imported_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (constants, datasets.config):
        monkeypatch.setattr(module, "HF_HUB_OFFLINE", False)  # as where neither variable was set at the first import
    for variable in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.delenv(variable, raising=False)
    asked: list[object] = []
    monkeypatch.setattr("socket.getaddrinfo", lambda *where, **_: asked.append(where) or [])

    class Tasks:
        def load(self, names: list[str]) -> None:
            datasets.load_dataset(f"nobody/{names[0]}")

    monkeypatch.setattr(lm_eval_tasks, "task_manager", lambda _: Tasks())
    work_offline()
    with pytest.raises(BenchmarkError, match=r"task 'arc_easy': its data set is not in .*`unix-lib fetch <config>`"):
        lm_eval_tasks.load_registered("arc_easy")
    assert asked == []


def test_who_wants_the_network_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    work_offline()
    assert not constants.HF_HUB_OFFLINE
