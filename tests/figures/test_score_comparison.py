"""Differences of mean scores: nothing learned never decides, what is learned does, and intervals hold the truth."""

from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd
import pytest

from unix_lib.figures import score_comparison
from unix_lib.figures.evidence import FAILS, HOLDS, verdict_of
from unix_lib.figures.score_comparison import Comparison, compare_scores

SIDES = ("unix 2:1", "mot")
BENCHMARKS = {"cloze": "text", "geneval": "generation", "pope": "understanding", "mmbench": "understanding"}
CHANCES = {"cloze": 0.25, "pope": 0.5, "mmbench": 0.25}  # of an image it is what another prompt gets
CONTROL = 0.2
BLIND = ("yes", "no", "unreadable", "guess")
Skill = str | float  # one of BLIND, or the share of what chance leaves open


@pytest.fixture(autouse=True)
def few_replicates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score_comparison, "REPLICATES", 400)


def answers(rng: np.random.Generator, benchmark: str, skill: Skill, prompts: int) -> tuple[np.ndarray, np.ndarray]:
    """Values and chances of one run's answers; right options take turns."""
    places = np.arange(prompts)
    if benchmark == "geneval":
        if isinstance(skill, float) or skill == "guess":
            rate = CONTROL + (1 - CONTROL) * (0.0 if skill == "guess" else float(skill))
            return rng.random(prompts) < rate, rng.random(prompts) < CONTROL
        every = {"yes": 4, "no": 7, "unreadable": prompts + 1}[skill]  # the prompts that one and the same image meets
        return places % every == every - 1, places % every == every - 2
    chance = CHANCES[benchmark]
    rate = chance if isinstance(skill, str) else chance + (1 - chance) * skill
    value = {"yes": places % round(1 / chance) == 0, "no": places % round(1 / chance) == 1, "unreadable": places < 0}
    return value.get(str(skill), rng.random(prompts) < rate), np.full(prompts, chance)


def values_of(
    rng: np.random.Generator, skills: Sequence[dict[str, Skill]], prompts: int, seeds: int = 3
) -> pd.DataFrame:
    """Answers of both sides in all seeds; images belong to four tasks."""
    parts = []
    for (side, skill), seed, (name, family) in product(
        zip(SIDES, skills, strict=True), range(seeds), BENCHMARKS.items()
    ):
        value, chance = answers(rng, name, skill[name], prompts)
        stratum = np.arange(prompts) % 4 if family == "generation" else np.zeros(prompts, dtype=int)
        known = {
            "architecture": side,
            "seed": seed,
            "family": family,
            "benchmark": name,
            "stratum": stratum.astype(str),
        }
        prompt = np.arange(prompts).astype(str)
        parts.append(pd.DataFrame(known | {"prompt": prompt, "value": value * 1.0, "chance": chance * 1.0}))
    return pd.concat(parts, ignore_index=True)


def everywhere(skill: Skill) -> dict[str, Skill]:
    return dict.fromkeys(BENCHMARKS, skill)


def compared(rng: np.random.Generator, *skills: dict[str, Skill], prompts: int, seeds: int = 3) -> Comparison:
    comparison = compare_scores(values_of(rng, skills, prompts, seeds), *SIDES)
    assert comparison is not None
    return comparison


def decides(comparison: Comparison) -> bool:
    return verdict_of(comparison.difference, of_training=True)[0] in (HOLDS, FAILS)


def raw_gap(values: pd.DataFrame) -> float:
    """The difference of plain mean scores, chance or not."""
    means = values.groupby(["architecture", "benchmark"]).value.mean().groupby("architecture").mean()
    return float(means[SIDES[0]] - means[SIDES[1]])


@pytest.mark.parametrize("prompts", [8, 60])
def test_two_that_learned_nothing_are_never_told_apart(prompts: int) -> None:
    rng = np.random.default_rng(prompts)
    for pair in product(BLIND, BLIND):
        found = [compared(rng, everywhere(pair[0]), everywhere(pair[1]), prompts=prompts) for _ in range(3)]
        assert not any(map(decides, found)), pair
        assert all(each.difference.low < 0 < each.difference.high for each in found), pair
    constant = values_of(rng, [everywhere("no"), everywhere("unreadable")], prompts)
    assert raw_gap(constant) > 0.2  # by the scores as they are, constant answers pass for knowledge


def test_equal_knowledge_elsewhere_makes_no_knowledge_of_constant_answers() -> None:
    """Both know the same of texts and images; of questions one knows nothing and the other can't be read."""
    rng = np.random.default_rng(1)
    known: dict[str, Skill] = {"cloze": 0.3, "geneval": 0.4}
    for blind in ("no", "guess"):
        sides = [known | {"pope": how, "mmbench": how} for how in (blind, "unreadable")]
        made = [values_of(rng, sides, 60) for _ in range(25)]
        found = [comparison for values in made if (comparison := compare_scores(values, *SIDES))]
        assert len(found) == 25 and np.mean([raw_gap(values) for values in made]) > 0.15
        assert sum(map(decides, found)) <= 3, blind  # of 25, 5% each: more than 3 in one case of 30
        assert any({"pope", "mmbench"} <= set(each.silent) for each in found)


def test_what_is_known_decides() -> None:
    rng = np.random.default_rng(2)
    for sides, verdict in (
        ((0.6, 0.2), HOLDS),
        ((0.2, 0.6), FAILS),
        ((0.6, "unreadable"), HOLDS),
        (("no", 0.6), FAILS),
    ):
        found = compared(rng, *map(everywhere, sides), prompts=60)
        assert verdict_of(found.difference, of_training=True)[0] == verdict
        assert set(found.heard) == set(BENCHMARKS) and not found.silent
        assert all(mean >= 0 for mean in found.means)


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("skills", [(0.5, 0.5), (0.6, 0.3), (1.0, 0.9), (0.9, 0.9), (0.02, 0.02), (0.1, "unreadable")])
def test_intervals_cover_the_truth(skills: tuple[Skill, Skill], seeds: int) -> None:
    known = [0.0 if isinstance(skill, str) else skill for skill in skills]
    rng = np.random.default_rng([seeds, *(int(100 * skill) for skill in known)])
    found = [compared(rng, *map(everywhere, skills), prompts=40, seeds=seeds) for _ in range(30)]
    covered = sum(each.difference.low <= known[0] - known[1] <= each.difference.high for each in found)
    assert covered >= 25  # at 95% fewer happen once in 300


def test_below_chance_counts_as_chance() -> None:
    found = compared(np.random.default_rng(3), everywhere(0.5), everywhere("unreadable"), prompts=100)
    assert found.difference.value == pytest.approx(found.means[0]) and found.means[1] == 0
    assert 0.4 < found.difference.value < 0.6


@pytest.mark.parametrize("skill", [1.0, "yes", "unreadable"])
def test_answers_that_are_all_alike_leave_room(skill: Skill) -> None:
    """The same answers on both sides: of n prompts none differs, which does not mean that none can."""
    values = values_of(np.random.default_rng(4), [everywhere(skill)] * 2, 20)
    questions = values[values.family != "generation"]
    assert (questions.groupby(["benchmark", "prompt"]).value.nunique() == 1).all()
    images = questions[questions.benchmark == "pope"].assign(family="generation", benchmark="geneval")
    found = compare_scores(pd.concat([questions, images]), *SIDES)
    assert found is not None and found.difference.value == 0
    assert found.difference.low < -0.05 and found.difference.high > 0.05


def test_paired_bootstrap_equals_a_plain_one() -> None:
    """One benchmark a family, one seed: mean of three paired differences, resampled with loops."""
    rng = np.random.default_rng(1)
    rows = [
        {"architecture": architecture, "seed": 1, "family": family, "benchmark": family, "stratum": ""}
        | {"prompt": str(prompt), "value": float(rng.random() < rate), "chance": 0.2}
        for family in ("text", "generation", "understanding")
        for prompt in range(40)
        for architecture, rate in zip(SIDES, (0.7, 0.4), strict=True)
    ]
    values = pd.DataFrame(rows)
    found = compare_scores(values, *SIDES)
    assert found is not None
    wide = values.pivot_table(index=["family", "prompt"], columns="architecture", values="value") / 0.8
    paired = (wide[SIDES[0]] - wide[SIDES[1]]).unstack("family").to_numpy()
    draws = [np.mean([paired[rng.integers(0, 40, 40), family].mean() for family in range(3)]) for _ in range(4000)]
    assert found.difference.value == pytest.approx(paired.mean())
    assert found.difference.low == pytest.approx(np.percentile(draws, 2.5), abs=0.03)
    assert found.difference.high == pytest.approx(np.percentile(draws, 97.5), abs=0.03)
    assert found.difference.n == 120


def test_needs_a_known_chance_in_every_family_and_a_common_seed() -> None:
    values = values_of(np.random.default_rng(5), [everywhere(0.5)] * 2, 12)
    assert compare_scores(values, *SIDES) is not None
    for family in set(BENCHMARKS.values()):
        assert compare_scores(values.assign(chance=values.chance.mask(values.family == family)), *SIDES) is None
    apart = values.assign(seed=values.seed + 10 * (values.architecture == SIDES[1]))
    assert compare_scores(apart, *SIDES) is None
    assert compare_scores(values[:0], *SIDES) is None


def test_nothing_is_above_a_chance_of_one() -> None:
    values = values_of(np.random.default_rng(6), [everywhere(1.0), everywhere(0.5)], 12)
    found = compare_scores(values.assign(chance=1.0), *SIDES)
    assert found is not None and not found.heard
    assert found.difference.value == 0 and not decides(found)
