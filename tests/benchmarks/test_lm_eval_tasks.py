"""What is said of the data sets behind tasks of lm-eval."""

from types import SimpleNamespace

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
