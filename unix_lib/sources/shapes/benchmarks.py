"""Makes held-out benchmarks in the layouts of GenEval, POPE, MME and MMBench (VLMEvalKit's TSV files).

GenEval's prompts come with scenes that satisfy them; the others are questions about scenes. Every scene shows a
held-out combination.

Questions come in blocks in which each question text is answered by every answer equally often: with "yes" in one
image and "no" in another, with each of four options in four images. So whoever doesn't look at the image, even
knowing the question, gets exactly chance. A benchmark is cut down to whole blocks.
"""

import base64
import csv
import io
import itertools
import random
from dataclasses import dataclass
from typing import Any

from unix_lib.images.files import png_bytes
from unix_lib.records.questions import LETTERS
from unix_lib.sources.errors import SourceError
from unix_lib.sources.shapes.captions import Claim, claims_of_combination, holds
from unix_lib.sources.shapes.combinations import TASKS, HeldOut, combinations_in
from unix_lib.sources.shapes.drawing import all_of, draw_held_out, draw_scene, textured
from unix_lib.sources.shapes.kind import ShapesBenchmarks, ShapesScenes
from unix_lib.sources.shapes.questions import NO, YES, Question, four_choice_questions, yes_no_questions
from unix_lib.sources.shapes.scenes import Scene, render_pixels

SCENES_PER_PROMPT = 4  # PAPER: GenEval makes four images a prompt
POOL_SCENES = 900  # held-out scenes that questions choose from
ATTEMPTS = 500


@dataclass(frozen=True)
class Row:
    """One question about one scene of the pool."""

    question: Question
    scene: int
    answer: str


def geneval_prompts(space: ShapesBenchmarks, held_out: HeldOut) -> list[tuple[Claim, list[Scene]]]:
    """Prompts that say a held-out combination, each with scenes that satisfy it.

    A task whose combinations give fewer distinct prompts repeats them in turn, so that every task is judged on
    equally many images: the overall score weighs all tasks alike.
    """
    everything = all_of(held_out)
    prompts: list[tuple[Claim, list[Scene]]] = []
    for task in TASKS:
        rng = random.Random(f"{space.seed}/geneval/{task}")
        claims = [(claim, c) for c in held_out[task] for claim in claims_of_combination(c)]
        rng.shuffle(claims)
        for claim, combination in itertools.islice(itertools.cycle(claims), space.prompts_per_task):
            scenes: list[Scene] = []
            for _ in range(ATTEMPTS):
                scene = draw_held_out(space, combination, everything, rng)
                if holds(claim, scene):
                    scenes.append(textured(space, scene, "geneval", task, len(prompts), len(scenes)))
                if len(scenes) == SCENES_PER_PROMPT:
                    break
            else:
                raise SourceError(f"shapes: no scene found for the prompt '{claim.prompt}'; enlarge image_size")
            prompts.append((claim, scenes))
    return prompts


def scene_pool(space: ShapesScenes, held_out: HeldOut) -> list[Scene]:
    """Scenes to ask about, of each task in turn, each with at least one held-out combination of any task."""
    everything, rng = all_of(held_out), random.Random(f"{space.seed}/pool")
    pool: list[Scene] = []
    for attempt in range(ATTEMPTS * POOL_SCENES):
        scene = draw_scene(space, TASKS[attempt % len(TASKS)], rng)
        if combinations_in(scene) & everything:
            pool.append(textured(space, scene, "pool", len(pool)))
        if len(pool) == POOL_SCENES:
            break
    return pool


def pope_rows(space: ShapesBenchmarks, pool: list[Scene]) -> list[Row]:
    """Existence questions, each text once with "yes" and once with "no" a block."""
    rng = random.Random(f"{space.seed}/pope")
    questions = [q for q in yes_no_questions(space) if q.category == "existence"]
    blocks = [(q, by_answer) for q, by_answer in _answers(questions, pool) if set(by_answer) == {YES, NO}]
    rows: list[Row] = []
    for question, by_answer in _in_turn(blocks, space.questions_per_benchmark // 2, rng):
        rows += [Row(question, rng.choice(by_answer[answer]), answer) for answer in (YES, NO)]
    return rows


def mme_rows(space: ShapesBenchmarks, pool: list[Scene]) -> list[Row]:
    """Two questions an image, one "yes" and one "no"; the block's second image has the answers swapped."""
    rng = random.Random(f"{space.seed}/mme")
    by_category: dict[str, list[tuple[Question, Question, list[int], list[int]]]] = {}
    answered = [(q, {a: set(scenes) for a, scenes in by.items()}) for q, by in _answers(yes_no_questions(space), pool)]
    for (q, of_q), (r, of_r) in itertools.combinations(answered, 2):
        if q.category == r.category:
            one = sorted(of_q.get(YES, set()) & of_r.get(NO, set()))
            other = sorted(of_q.get(NO, set()) & of_r.get(YES, set()))
            if one and other:
                by_category.setdefault(q.category, []).append((q, r, one, other))
    rows: list[Row] = []
    for q, r, one, other in _in_turn_by_category(by_category, space.questions_per_benchmark // 4, rng):
        for scene, answers in ((rng.choice(one), (YES, NO)), (rng.choice(other), (NO, YES))):
            rows += [Row(question, scene, answer) for question, answer in zip((q, r), answers, strict=True)]
    return rows


def mmbench_rows(space: ShapesBenchmarks, pool: list[Scene]) -> list[Row]:
    """Four-choice questions, each text once with every option a block."""
    rng = random.Random(f"{space.seed}/mmbench")
    by_category: dict[str, list[tuple[Question, dict[str, list[int]]]]] = {}
    for question, by_answer in _answers(four_choice_questions(space), pool):
        if set(by_answer) == set(question.options):
            by_category.setdefault(question.category, []).append((question, by_answer))
    rows: list[Row] = []
    for question, by_answer in _in_turn_by_category(by_category, space.questions_per_benchmark // 4, rng):
        block = [Row(question, rng.choice(by_answer[option]), option) for option in question.options]
        rng.shuffle(block)
        rows += block
    return rows


def as_tsv(rows: list[Row], pool: list[Scene], image_size: int, *, options: bool) -> str:
    """Rows in VLMEvalKit's layout; an image that came before is given as the index of the row that holds it."""
    letters = LETTERS if options else ()
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter="\t", lineterminator="\n")
    writer.writerow(["index", "question", *letters, "answer", "category", "image"])
    holder: dict[int, int] = {}
    for index, row in enumerate(rows):
        if row.scene in holder:
            image: str | int = holder[row.scene]
        else:
            holder[row.scene] = index
            image = base64.b64encode(png_bytes(render_pixels(pool[row.scene], image_size))).decode("ascii")
        question = row.question
        writer.writerow([index, question.text, *question.options, question.reply(row.answer), question.category, image])
    return buffer.getvalue()


def _answers(questions: list[Question], pool: list[Scene]) -> list[tuple[Question, dict[str, list[int]]]]:
    """Per question: answer -> scenes of the pool with that answer."""
    answered = []
    for question in questions:
        by_answer: dict[str, list[int]] = {}
        for index, scene in enumerate(pool):
            answer = question.answer(scene)
            if answer is not None:
                by_answer.setdefault(answer, []).append(index)
        answered.append((question, by_answer))
    return answered


def _in_turn(choices: list[Any], count: int, rng: random.Random) -> list[Any]:
    """`count` choices, each as often as any other, in a seeded order."""
    if not choices:
        raise SourceError("shapes: the held-out scenes allow no balanced questions; give more colors or shapes")
    order = rng.sample(choices, len(choices))
    return list(itertools.islice(itertools.cycle(order), count))


def _in_turn_by_category(by_category: dict[str, list[Any]], count: int, rng: random.Random) -> list[Any]:
    """As `_in_turn`, one category after the other."""
    categories = sorted(by_category)
    orders = {name: itertools.cycle(_in_turn(by_category[name], len(by_category[name]), rng)) for name in categories}
    return [next(orders[name]) for name in itertools.islice(itertools.cycle(categories), count if categories else 0)]
