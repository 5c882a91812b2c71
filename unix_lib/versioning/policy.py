"""What of an experiment is kept where: in git, in DVC, or nowhere but where it was made.

DVC keeps what took hours and can't be had from git: data, packs, answers, scores, analyses, figures and each run's last
model. What is many times as large and only spares computing, training states and, unless a config says otherwise, the
models of a run's earlier checkpoints, stays where it was made: `.dvcignore` files say so to DVC.
"""

from collections import Counter
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from unix_lib.artefacts.files import replace_where_changed
from unix_lib.artefacts.names import checkpoint_name
from unix_lib.artefacts.verify import LEFT_OUT, stays_elsewhere
from unix_lib.recipes.plan import Plan

GIT, DVC, NEITHER = "git", "DVC", "neither"


@dataclass(frozen=True)
class Kind:
    """Files below `results/<experiment>` that are kept in one place; of several kinds that fit, the first counts."""

    name: str
    kept: str  # GIT, DVC or NEITHER
    patterns: tuple[str, ...]


POLICY = (
    Kind("tables and metrics", GIT, ("summary/*", LEFT_OUT)),
    Kind("training states", NEITHER, ("train/*/state/*", "train/*/state.pruned")),
    Kind("models", DVC, ("train/*/model/*",)),
    Kind("training logs", DVC, ("train/*",)),
    Kind("data", DVC, ("sources/*", "translate/*", "tokenizers/*", "encode/*", "tokenize/*")),
    Kind("packs", DVC, ("pack/*",)),
    Kind("answers", DVC, ("generate/*",)),
    Kind("scores", DVC, ("evaluate/*",)),
    Kind("analyses", DVC, ("analyze/*",)),
    Kind("figures", DVC, ("figures/*", "report/*")),
    Kind("what a run writes anew", NEITHER, ("*",)),
)
EARLIER_MODELS = Kind("models of earlier checkpoints", NEITHER, ())


def left_out(plan: Plan) -> list[str]:
    """Folders below `results/<experiment>` whose files stay out of DVC, as patterns without digests.

    A run starts from another one's last checkpoint, so an earlier one's model is only missed where more is to be known
    of it: another benchmark, another analysis.
    """
    if plan.experiment.versioned_models == "all":
        return []
    earlier = [(run, step) for run in plan.experiment.runs for step in plan.checkpoint_steps(run)[:-1]]
    return [f"/train/{checkpoint_name(run, step)}-*/model/" for run, step in earlier]


def write_left_out(plan: Plan, results: Path) -> None:
    """Tell DVC, and `verify`, what stays where it was made."""
    lines = [
        "# Models that stay where they were made (docs/sharing.md); written by `unix-lib planned`.",
        *left_out(plan),
    ]
    replace_where_changed(results / LEFT_OUT, "\n".join(lines) + "\n")


def kind_of(below: str, patterns: list[str]) -> Kind:
    """The kind of a file by its path below `results/<experiment>`; `patterns` are those of `left_out`."""
    if stays_elsewhere(below, patterns):
        return EARLIER_MODELS
    return next(kind for kind in POLICY if any(fnmatch(below, pattern) for pattern in kind.patterns))


def sizes(results: Path, patterns: list[str]) -> dict[Kind, int]:
    """Bytes of each kind that are there, in the order of the policy."""
    found: Counter[Kind] = Counter()
    for path in results.rglob("*"):
        if path.is_file() and not path.is_symlink():
            found[kind_of(path.relative_to(results).as_posix(), patterns)] += path.stat().st_size
    return {kind: found[kind] for kind in (*POLICY, EARLIER_MODELS) if found[kind]}
