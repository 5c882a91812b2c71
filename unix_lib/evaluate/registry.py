"""lm-eval's registry of tasks, and the hub's data sets behind them.

In: the name of a task or group. Out: the loaded tasks, and where the data of each came from. Whether a data set may be
downloaded is for the process to decide, by `HF_HUB_OFFLINE` before the first import of Hugging Face's libraries: jobs
and `doctor` run offline, `fetch` does not.
"""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unix_lib.evaluate.benchmark import BenchmarkError

if TYPE_CHECKING:
    from lm_eval.tasks import TaskManager


@cache
def task_manager(include_defaults: bool) -> "TaskManager":
    """lm-eval's index of tasks; reading its registry takes ten seconds, so it is read once."""
    from lm_eval.tasks import TaskManager

    return TaskManager(include_defaults=include_defaults)


def load_registered(name: str) -> dict[str, Any]:
    """A task or group of the registry, such as mmlu, with its data: lm-eval's `{"tasks": ..., "groups": ...}`.

    Raises:
        BenchmarkError: lm-eval has no such task, or its data set is not in the cache and can't be reached.
    """
    try:
        return task_manager(True).load([name])
    except KeyError:
        raise BenchmarkError(f"lm-eval has no task '{name}'; `lm-eval ls tasks` lists its tasks") from None
    except (OSError, ConnectionError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BenchmarkError(
            f"lm-eval task '{name}': its data set is not in Hugging Face's cache ({first}); `python -m unix_lib fetch "
            "<config>` gets it where there is a network; jobs need the same HF_HOME"
        ) from None


def data_set_of(task: Any) -> str:
    """Where a loaded task's data came from: `owner/name@commit` on the hub; empty for data made in memory."""
    split = next(iter(task.dataset.values()))
    if not split.cache_files:
        return ""
    # <cache>/<owner>___<name>/<config>/<version>/<commit>/<name>-<split>.arrow
    return f"{task.config.dataset_path}@{Path(split.cache_files[0]['filename']).parent.name}"
