"""Which kind of job a recipe is for: its settings' model and the function that does it.

The stages with kinds of their own ask the kind; the others have one kind of job each, listed here.
"""

from dataclasses import replace
from typing import Any

from unix_lib.config.analyze import AnalysisKind
from unix_lib.config.brought import ENDPOINT, IMPORTED, AskingExecution
from unix_lib.config.encode import CODES
from unix_lib.config.evaluate import SCORES, ScorerKind
from unix_lib.config.figures import FigureKind
from unix_lib.config.generate import GROUP
from unix_lib.config.kinds import JobKind, find_kind
from unix_lib.config.pack import PACKS
from unix_lib.config.report import PAGE
from unix_lib.config.sources import SourceKind
from unix_lib.config.strict import ConfigError
from unix_lib.config.tokenize import TOKENS
from unix_lib.config.tokenizers import VOCABULARY, TokenizerKind
from unix_lib.config.train import CHECKPOINT
from unix_lib.config.translate import BENCHMARKS, RECORDS

FIXED: dict[str, JobKind[Any]] = {
    "translate/records": RECORDS,
    "translate/benchmarks": BENCHMARKS,
    "tokenizers/vocabulary": VOCABULARY,
    "encode/codes": CODES,
    "tokenize/tokens": TOKENS,
    "pack/packs": PACKS,
    "train/checkpoint": CHECKPOINT,
    "train/imported": IMPORTED,
    "train/endpoint": ENDPOINT,
    "generate/group": GROUP,
    "evaluate/scores": SCORES,
    "report/page": PAGE,
}


def job_kind(stage: str, kind: str) -> JobKind[Any]:
    """The kind of job of a recipe.

    Args:
        kind: as the plan names it: `<source kind>/images`, `text/<tokenizer kind>`, `<scorer>`, `endpoint/<scorer>`,
            `ceiling/<scorer>`, `judging/<scorer>`, the kind of an analysis or a figure, or what `FIXED` has.

    Raises:
        ConfigError: no such kind.
    """
    if f"{stage}/{kind}" in FIXED:
        return FIXED[f"{stage}/{kind}"]
    found: JobKind[Any] | None = None
    first, _, second = kind.partition("/")
    if stage == "sources" and second in SourceKind.JOBS:
        found = getattr(find_kind("source", first, SourceKind), second)
    elif stage == "tokenizers" and first in ("text", "image"):
        found = find_kind("text tokenizer" if first == "text" else "image tokenizer", second, TokenizerKind).job
    elif stage == "generate" and first == "endpoint":
        found = _asked(find_kind("scorer", second, ScorerKind))
        if found is None:
            raise ConfigError(f"scorer '{second}' asks for what an endpoint doesn't give; score the checkpoint itself")
    elif stage == "generate":
        found = find_kind("scorer", kind, ScorerKind).generate
    elif stage == "evaluate" and first in ("ceiling", "judging"):
        found = getattr(find_kind("scorer", second, ScorerKind), first)
    elif stage == "analyze":
        found = find_kind("analysis", kind, AnalysisKind).job
    elif stage == "figures":
        found = find_kind("figure", kind, FigureKind).job
    if found is None:
        raise ConfigError(f"stage {stage} has no job of kind '{kind}'; the recipe is of another version, plan again")
    return found


def _asked(scorer: ScorerKind) -> JobKind[Any] | None:
    """The same answers by a model behind an endpoint."""
    return replace(scorer.generate, execution=AskingExecution) if scorer.asks_endpoints else None
