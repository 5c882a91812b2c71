"""The answers behind the final scores: what each is worth, what a blind guesser gets, and which of them say nothing.

A blind guesser gets the chance that the config states, or what the best single answer gives to all questions where that
is more. An image that has nothing to do with its prompt gets what it is worth for another prompt of its task.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from unix_lib.evaluate.answers import read_as
from unix_lib.evaluate.geneval import samples_of
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.scores import final_scores, headline_scores
from unix_lib.figures.style import architecture_name

WHOSE = ["architecture", "run", "seed", "step", "family", "benchmark", "by_task"]
SAMPLE_COLUMNS = [*WHOSE, "sample_id", "task", "prompt", "prediction", "answer", "value", "reason", "chance"]
VALUE_COLUMNS = ["architecture", "seed", "family", "benchmark", "stratum", "prompt", "value", "chance"]
BLIND_COLUMNS = ["architecture", "family", "benchmark", "n", "unreadable", "only_answer"]
# ASSUME: with more unreadable answers than this a score says as much about the form of answers as about what is known.
NAMED_UNREADABLE = 0.05


def final_samples(inputs: Inputs) -> pd.DataFrame:
    """Every answer behind `final_scores`."""
    return samples_of_scores(inputs, final_scores(headline_scores(inputs)))


def samples_of_scores(inputs: Inputs, scores: pd.DataFrame) -> pd.DataFrame:
    """Every answer behind headline scores: `SAMPLE_COLUMNS`, `chance` 0..1 and null where it is not known."""
    parts = [pd.DataFrame(columns=SAMPLE_COLUMNS)]
    for score in scores.itertuples():
        folder = inputs.results / str(score.artefact)
        samples = pd.read_parquet(folder / "samples" / f"{score.benchmark}.parquet")
        whose = {name: getattr(score, name) for name in WHOSE}
        parts.append(samples.assign(**whose, chance=_chance(samples, score, folder / "verdicts.parquet")))
    return pd.concat(parts[1:] or parts, ignore_index=True)[SAMPLE_COLUMNS]


def prompt_values(samples: pd.DataFrame) -> pd.DataFrame:
    """`VALUE_COLUMNS` of every answer; without a step that all runs have, none: nothing is at equal data.

    Images that were asked to show the same thing belong together. Where a score is a mean over tasks, they are strata.
    """
    parts = [pd.DataFrame(columns=VALUE_COLUMNS)]
    if samples.step.nunique() == 1:
        for (_, family), rows in samples.groupby(["benchmark", "family"]):
            prompt = _asked(rows) if family == "generation" else rows.sample_id
            stratum = rows.task.where(rows.by_task.astype(bool), "")
            parts.append(rows.assign(prompt=prompt, stratum=stratum)[VALUE_COLUMNS])
    return pd.concat(parts[1:] or parts, ignore_index=True)


def blind_answers(samples: pd.DataFrame) -> pd.DataFrame:
    """Answers that are no sign of knowledge, per architecture and benchmark, over seeds: `BLIND_COLUMNS`.

    Of `n` answers some are `unreadable`; `only_answer` is what a run gave to everything, "" where no run did.
    """
    reading = [
        row.prediction if row.family == "generation" else read_as(row.prediction, row.answer, row.reason)
        for row in samples.itertuples()
    ]
    rows = []
    for key, answers in samples.assign(reading=reading).groupby(BLIND_COLUMNS[:3], sort=False):
        runs = [of_run.reading for _, of_run in answers.groupby("run") if len(of_run) > 1]
        alike = [readings.iloc[0] for readings in runs if readings.nunique() == 1 and readings.notna().all()]
        only = " or ".join(sorted({f"'{reading}'" if reading else "nothing that a judge sees" for reading in alike}))
        only += f" in {len(alike)} of {len(runs)} runs" if 0 < len(alike) < len(runs) else ""
        rows.append([*key, len(answers), int(answers.reading.isna().sum()), only])
    return pd.DataFrame(rows, columns=BLIND_COLUMNS)


def blind_words(blind: pd.DataFrame) -> str:
    """Which of `blind_answers` are no sign of knowledge, in words; "" where there are none."""
    sentences = []
    for name, rows in blind.groupby("architecture", sort=False):
        words = [f"{row.only_answer} to all of {row.benchmark}" for row in rows.itertuples() if row.only_answer]
        words += [
            f"{row.unreadable:,} of {row.n:,} answers to {row.benchmark} unreadable"
            for row in rows.itertuples()
            if row.unreadable > NAMED_UNREADABLE * row.n
        ]
        sentences += [f"{architecture_name(str(name))}: {', '.join(words)}"] if words else []
    return "; ".join(sentences)


def blind_notes(blind: pd.DataFrame) -> list[str]:
    """A line below a table of scores; none where every answer may be a sign of knowledge."""
    words = blind_words(blind)
    return [f"No sign of knowledge: {words}."] if words else []


def _chance(samples: pd.DataFrame, score: Any, verdicts: Path) -> "pd.Series[float] | float":
    control = _shuffled(verdicts, score.benchmark)
    if len(control):
        return samples.sample_id.map(control)
    if not score.chance > 0:  # null, or the config's default: nobody has said what guessing gives
        return np.nan
    share = 1 / samples.groupby("task").task.transform("size") if score.by_task else samples.value * 0 + 1
    best_single = share.groupby(samples.answer).sum().max() / share.sum()
    return max(float(score.chance), float(best_single))


def _shuffled(verdicts: Path, benchmark: str) -> "pd.Series[float]":
    """What each image is worth for another prompt, by sample; empty for a benchmark that a judge says nothing of."""
    if not verdicts.exists():
        return pd.Series(dtype=float)
    table = pd.read_parquet(verdicts)
    table = table[table.benchmark == benchmark]
    names = [f"{row.prompt_index:05d}-{row.sample_index}" for row in table.itertuples()]
    return pd.Series(table.shuffled_value.to_numpy(dtype=float), index=names)


def _asked(samples: pd.DataFrame) -> "list[str] | pd.Series[str]":
    """What each image was asked to show, see `samples_of`; its prompt where nothing else says it."""
    if (samples.answer == "").any():
        return samples.prompt
    prompts = [
        {"tag": row.task, "prompt": row.prompt} | json.loads(row.answer) for row in samples.itertuples(index=False)
    ]
    return samples_of(prompts)
