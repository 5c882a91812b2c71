"""Loads tasks of lm-eval: those of its registry, and cloze questions of this project as one of them.

Whether a data set may be downloaded is for the process to decide, by `HF_HUB_OFFLINE` before the first import of
Hugging Face's libraries: jobs and `doctor` run offline, `fetch` does not.
"""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unix_lib.benchmarks.cloze import read_cloze
from unix_lib.benchmarks.errors import BenchmarkError
from unix_lib.benchmarks.rows import RejectedRow

if TYPE_CHECKING:
    from lm_eval.tasks import TaskManager

METRICS = ("acc", "acc_norm")  # of lm-eval; the second divides a choice's log-likelihood by its bytes
UNSPACED = "-unspaced"  # end of the name of a task whose choices follow without a space
Loaded = dict[str, Any]  # lm-eval's `{"tasks": ..., "groups": ...}`


class NotInCache(BenchmarkError):
    """A data set that is neither here nor can be had."""

    def __init__(self, what: str, error: OSError) -> None:
        super().__init__(
            f"{what}: its data set is not in Hugging Face's cache "
            f"({(str(error) or type(error).__name__).splitlines()[0]}); `unix-lib fetch <config>` gets it "
            "where there is a network; jobs need the same HF_HOME"
        )


@cache
def task_manager(include_defaults: bool) -> "TaskManager":
    """lm-eval's index of tasks; reading its registry takes ten seconds, so it is read once."""
    from lm_eval.tasks import TaskManager

    return TaskManager(include_defaults=include_defaults)


def load_registered(name: str) -> Loaded:
    """A task or group of the registry, such as mmlu, with its data.

    Raises:
        BenchmarkError: lm-eval has no such task. NotInCache: its data set is not in the cache and can't be reached.
    """
    try:
        loaded: Loaded = task_manager(True).load([name])
        return loaded
    except KeyError:
        raise BenchmarkError(f"lm-eval has no task '{name}'; `lm-eval ls tasks` lists its tasks") from None
    except OSError as error:
        raise NotInCache(f"lm-eval task '{name}'", error) from None


def load_cloze(name: str, path: Path) -> tuple[Loaded, list[RejectedRow]]:
    """Cloze questions as a task of lm-eval, which gets the benchmark's name, and the lines set aside.

    Questions without a space before their choices are a task of their own. A file without questions gives no task.

    Raises:
        BenchmarkError: lines of which not one is a usable question.
    """
    rows, rejected = read_cloze(path)
    spaced, unspaced = ([row for row in rows if row["delimiter"] == delimiter] for delimiter in (" ", ""))
    tasks = [_cloze_task(name, spaced, " ")] * bool(spaced)
    tasks += [_cloze_task(f"{name}{UNSPACED}", unspaced, "")] * bool(unspaced)
    return task_manager(False).load(tasks) if tasks else {"tasks": {}}, rejected


def _cloze_task(name: str, rows: list[dict[str, Any]], delimiter: str) -> dict[str, Any]:
    def dataset(**_: Any) -> dict[str, Any]:
        import datasets

        return {"test": datasets.Dataset.from_list(rows)}

    return {
        "task": name,
        "custom_dataset": dataset,  # in memory: lm-eval's own JSON loader writes a cache into the user's home
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "{{question}}",
        "doc_to_choice": "choices",
        "doc_to_target": "answer",
        "target_delimiter": delimiter,
        "metric_list": [{"metric": metric, "aggregation": "mean", "higher_is_better": True} for metric in METRICS],
        "num_fewshot": 0,
    }


def is_unspaced(task: str) -> bool:
    """Whether a task's choices follow without a space, so that a token could span the border."""
    return task.endswith(UNSPACED)


def data_set_of(task: Any) -> str:
    """Where a loaded task's data came from: `owner/name@commit` on the hub; empty for data made in memory."""
    split = next(iter(task.dataset.values()))
    if not split.cache_files:
        return ""
    # <cache>/<owner>___<name>/<config>/<version>/<commit>/<name>-<split>.arrow
    return f"{task.config.dataset_path}@{Path(split.cache_files[0]['filename']).parent.name}"


def downloaded_of(loaded: Loaded) -> dict[str, tuple[str, int]]:
    """(licence, bytes) of what was downloaded, as the hub's data sets behind loaded tasks say, by name and commit."""
    licences: dict[str, str] = {}
    sizes: dict[str, dict[str, int]] = {}  # a data set may be several, which are downloaded each by itself
    for task in loaded["tasks"].values():
        info = next(iter(task.dataset.values())).info
        if name := data_set_of(task):
            licences[name] = info.license or ""
            sizes.setdefault(name, {})[str(info.config_name)] = info.download_size or 0
    return {name: (licences[name], sum(of_name.values())) for name, of_name in sorted(sizes.items())}


def data_sets_of(loaded: Loaded) -> list[str]:
    """The hub's data sets behind loaded tasks, with their commits."""
    return sorted({data_set_of(task) for task in loaded["tasks"].values()} - {""})
