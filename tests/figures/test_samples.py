"""Answers behind scores: what a blind guesser gets, and which answers are no sign of knowledge."""

from pathlib import Path

import pandas as pd
import pytest

from tests.figures.synthetic import CHANCES, SyntheticExperiment
from unix_lib.figures.inputs import Inputs
from unix_lib.figures.samples import blind_answers, blind_words, final_samples, prompt_values


def test_prompt_values_are_of_the_last_step_that_all_runs_have(tmp_path: Path) -> None:
    experiment = SyntheticExperiment(tmp_path, prompts=6, steps=(0, 100, 200))

    def values(*left_out: str) -> pd.DataFrame:
        evaluations = [a for a in experiment.inputs["evaluations"] if not any(name in a for name in left_out)]
        return prompt_values(final_samples(Inputs(tmp_path, {"evaluations": evaluations})))

    everything = values()
    assert len(everything) == 4 * 4 * 6
    assert everything[everything.family == "generation"].stratum.nunique() == 6
    early = values("mot-step-00200")
    assert early.equals(values("step-00200")) and not early.equals(everything)
    assert values("mot-step-00200", "mot-step-00100", "unix-step-00000", "shared-step-00000", "moe-step-00000").empty


def test_images_that_nothing_but_their_prompt_speaks_of_belong_together_by_it(tmp_path: Path) -> None:
    experiment = SyntheticExperiment(tmp_path, prompts=6, steps=(0, 100))
    samples = final_samples(Inputs(tmp_path, experiment.inputs))
    drawn = samples[samples.family == "generation"]
    prompts = prompt_values(drawn.assign(answer="", prompt=[f"{index % 3}" for index in range(len(drawn))])).prompt
    assert set(prompts) == {"0", "1", "2"}


def test_chance_is_stated_or_what_the_best_single_answer_gives(tmp_path: Path) -> None:
    experiment = SyntheticExperiment(tmp_path, prompts=24, steps=(0, 100))
    inputs = Inputs(tmp_path, experiment.inputs)
    chances = final_samples(inputs).groupby("benchmark").chance.first()
    assert chances[["pope", "mmbench", "cloze"]].to_dict() == {n: CHANCES[n] for n in ("pope", "mmbench", "cloze")}

    for artefact in experiment.inputs["evaluations"]:
        folder = tmp_path / artefact
        samples = pd.read_parquet(folder / "samples" / "pope.parquet")
        samples.assign(answer=["yes"] * 18 + ["no"] * 6).to_parquet(folder / "samples" / "pope.parquet")
        scores = pd.read_parquet(folder / "scores.parquet")
        scores.assign(chance=scores.chance.mask(scores.benchmark == "cloze", 0.0)).to_parquet(folder / "scores.parquet")
        verdicts = pd.read_parquet(folder / "verdicts.parquet")
        verdicts.loc[0, "shuffled_value"] = None
        verdicts.assign(shuffled_value=1 - verdicts.shuffled_value).to_parquet(folder / "verdicts.parquet")
    changed = final_samples(Inputs(tmp_path, experiment.inputs)).groupby("benchmark").chance
    assert changed.first()["pope"] == 0.75
    assert changed.count()["cloze"] == 0  # the config's default is no statement
    assert changed.count()["geneval"] == 4 * 23 and changed.first()["geneval"] == 1.0


def test_answers_without_knowledge_are_counted_and_named(tmp_path: Path) -> None:
    blind = {"shared": "first", "unix": "last", "mot": "unreadable"}
    experiment = SyntheticExperiment(tmp_path, prompts=24, steps=(0, 100), blind=blind, skill={"moe": 0.8})
    found = blind_answers(final_samples(Inputs(tmp_path, experiment.inputs)))
    assert set(found.n) == {24}
    cells = found.set_index(["architecture", "benchmark"])
    assert cells.only_answer["shared", "pope"] == "'yes'" and cells.only_answer["unix 2:1", "mmbench"] == "'D'"
    assert cells.only_answer["mot", "geneval"] == "nothing that a judge sees" and not cells.only_answer["mot", "pope"]
    assert cells.unreadable["mot", "pope"] == 24 and cells.unreadable["mot", "geneval"] == 0
    of_moe = cells.loc["moe 1/2"]
    assert set(of_moe.unreadable) == {0} and set(of_moe.only_answer) == {""}
    words = blind_words(found)
    for sentence in ("Uni-X 2:1: ", "'no' to all of pope", "24 of 24 answers to mmbench unreadable"):
        assert sentence in words
    assert "MoE" not in words


@pytest.mark.parametrize(("blind_seeds", "expected"), [(0, ""), (1, "'no' in 1 of 3 runs"), (3, "'no'")])
def test_runs_that_answer_alike_are_counted(blind_seeds: int, expected: str) -> None:
    rows = [
        {"architecture": "mot", "family": "understanding", "benchmark": "pope", "run": f"mot-{seed}"}
        | {"prediction": "No.", "answer": answer, "reason": "" if answer == said else f"answered {said}"}
        for seed in range(3)
        for place, answer in enumerate(("yes", "no", "no"))
        for said in ["no" if seed < blind_seeds or place else "yes"]
    ]
    assert list(blind_answers(pd.DataFrame(rows)).only_answer) == [expected]
