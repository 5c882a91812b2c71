"""Makes a `shapes` source: images of scenes, captions and conversations, benchmarks of what was never trained.

Each job draws the scenes anew, which takes seconds: none waits for another, and a changed caption renders nothing.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np

from unix_lib.artefacts.files import write_text
from unix_lib.artefacts.manifest import Manifest
from unix_lib.config.jobs import Execution
from unix_lib.images.files import image_id
from unix_lib.jobs.job import Job
from unix_lib.records.schema import CONVERSATION, IMAGE_TEXT, Row
from unix_lib.records.shards import Split
from unix_lib.sources.shapes import benchmarks
from unix_lib.sources.shapes.captioned import CaptionedScene, captioned_scenes
from unix_lib.sources.shapes.combinations import HeldOut, choose_held_out
from unix_lib.sources.shapes.dpg import as_csv, dpg_rows
from unix_lib.sources.shapes.drawing import all_of
from unix_lib.sources.shapes.kind import ShapesBenchmarks, ShapesRecords, ShapesScenes
from unix_lib.sources.shapes.questions import choose_turns, four_choice_questions, yes_no_questions
from unix_lib.sources.shapes.scenes import render_pixels
from unix_lib.sources.writing import finish, write_images, write_records

# Draws the turns of a scene's conversation, (prompt, reply); none where it has no conversation record.
Turns = Callable[[CaptionedScene], list[tuple[str, str]]]


def make_images(job: Job[ShapesScenes, Execution]) -> Manifest:
    """Make `sources/<source>-images`: the rendered scenes of both splits, each different image once.

    Raises:
        SourceError: settings that leave nothing to hold out.
    """
    space, held_out = job.settings, _held_out(job.settings)

    def images_of(split: Split) -> Iterator[np.ndarray]:
        for captioned in captioned_scenes(split, space, held_out):
            yield render_pixels(captioned.scene, space.image_size)

    return finish(job, *write_images(job.folder, images_of))


def make_records(job: Job[ShapesRecords, Execution]) -> Manifest:
    """Make `sources/<source>`: captions, and conversations about some of the scenes.

    Raises:
        SourceError: settings that leave nothing to hold out.
    """
    space, held_out = job.settings, _held_out(job.settings)
    turns_of = conversations(space, held_out)
    trained: Counter[str] = Counter()  # colours, shapes and sizes

    def rows_of(split: Split) -> Iterator[Row]:
        for captioned in captioned_scenes(split, space, held_out):
            if split == "train":
                trained.update(value for o in captioned.scene.objects for value in (o.color, o.shape, o.size))
            yield from records_of(captioned, turns_of(captioned), space.image_size, job.recipe.name)

    files, facts = write_records(job.folder, rows_of)
    facts["trained_objects"] = dict(sorted(trained.items()))
    facts["heldout_combinations"] = {
        task: [" ".join(combination[1:]) for combination in chosen] for task, chosen in held_out.items()
    }
    return finish(job, files, facts)


def make_benchmarks(job: Job[ShapesBenchmarks, Execution]) -> Manifest:
    """Make `sources/<source>-benchmarks`: its benchmarks, and the held-out scenes with their ground truth.

    Raises:
        SourceError: settings that leave nothing to hold out, or that allow no question.
    """
    space, held_out = job.settings, _held_out(job.settings)
    prompts = benchmarks.geneval_prompts(space, held_out)
    lines: dict[str, list[object]] = {
        "heldout_scenes.jsonl": [captioned.as_json() for captioned in captioned_scenes("heldout", space, held_out)],
        "benchmarks/geneval.jsonl": [claim.metadata() for claim, _ in prompts],
        "benchmarks/geneval_scenes.jsonl": [[scene.as_json() for scene in scenes] for _, scenes in prompts],
    }
    files: dict[str, int | None] = {}
    for name, values in lines.items():
        write_text(job.folder / name, "".join(json.dumps(value) + "\n" for value in values))
        files[name] = len(values)
    pool = benchmarks.scene_pool(space, held_out)
    for name, make_rows, options in (
        ("benchmarks/pope.tsv", benchmarks.pope_rows, False),
        ("benchmarks/mme.tsv", benchmarks.mme_rows, False),
        ("benchmarks/mmbench.tsv", benchmarks.mmbench_rows, True),
    ):
        rows = make_rows(space, pool)
        write_text(job.folder / name, benchmarks.as_tsv(rows, pool, space.image_size, options=options))
        files[name] = len(rows)
    if space.dpg_prompts:
        asked = dpg_rows([claim for claim, _ in prompts], space.dpg_prompts)
        write_text(job.folder / "benchmarks/dpg.csv", as_csv(asked))
        files["benchmarks/dpg.csv"] = len(asked)
    distinct = {(claim.task, claim.prompt) for claim, _ in prompts}
    facts = {"geneval_distinct_prompts": dict(sorted(Counter(task for task, _ in distinct).items()))}
    return finish(job, files, facts)


def conversations(space: ShapesRecords, held_out: HeldOut) -> Turns:
    """What draws a scene's conversation from the scene's generator, once for each scene."""
    questions = [*yes_no_questions(space), *four_choice_questions(space)]
    everything = all_of(held_out)

    def turns_of(captioned: CaptionedScene) -> list[tuple[str, str]]:
        if captioned.rng.random() >= space.conversation_share:
            return []
        return choose_turns(captioned.scene, questions, everything, space.questions_per_scene, captioned.rng)

    return turns_of


def records_of(captioned: CaptionedScene, turns: list[tuple[str, str]], image_size: int, source: str) -> list[Row]:
    """Rows of `RECORD`: the captioned image and, where there are turns, the conversation about it."""
    common = {"image_ids": [image_id(render_pixels(captioned.scene, image_size))], "source": source}
    rows: list[Row] = [
        {"sample_id": captioned.sample_id, "kind": IMAGE_TEXT, "text": captioned.caption.prompt} | common
    ]
    if turns:
        messages = [
            {"role": role, "content": content}
            for turn in turns
            for role, content in zip(("user", "assistant"), turn, strict=True)
        ]
        sample_id = f"{captioned.sample_id}-questions"
        rows.append({"sample_id": sample_id, "kind": CONVERSATION, "messages": messages} | common)
    return rows


def _held_out(space: ShapesScenes) -> HeldOut:
    return choose_held_out(space.colors, space.shapes, space.heldout_share, space.seed)
