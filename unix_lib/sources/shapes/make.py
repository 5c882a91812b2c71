"""The `shapes` source: scenes, captions and conversations for training, benchmarks for what was never trained."""

import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from unix_lib.artefacts.files import write_text
from unix_lib.artefacts.manifest import Manifest
from unix_lib.jobs.job import Job
from unix_lib.records.rejected import RejectedSamples
from unix_lib.records.schema import CONVERSATION, IMAGE_TEXT, SOURCE_RECORD
from unix_lib.records.shards import ShardWriter, Split
from unix_lib.sources.shapes import benchmarks
from unix_lib.sources.shapes.captions import Claim, choose_caption
from unix_lib.sources.shapes.combinations import TASKS, Combination, HeldOut, choose_held_out
from unix_lib.sources.shapes.drawing import SceneSpace, all_of, draw_held_out, draw_trained
from unix_lib.sources.shapes.questions import Question, choose_turns, four_choice_questions, yes_no_questions
from unix_lib.sources.shapes.scenes import Scene, render_png


@dataclass(frozen=True)
class CaptionedScene:
    """A scene as it becomes records."""

    sample_id: str
    scene: Scene
    caption: Claim
    turns: list[tuple[str, str]]  # (prompt, reply); empty without a conversation record
    combination: Combination | None  # the held-out one that it shows

    def as_json(self) -> dict[str, Any]:
        return {
            "sample_id": self.sample_id,
            "task": self.caption.task,
            "caption": self.caption.prompt,
            "combination": self.combination,
        } | self.scene.as_json()


def captioned_scenes(
    split: Split, space: SceneSpace, held_out: HeldOut, settings: dict[str, Any]
) -> Iterator[CaptionedScene]:
    """The scenes of a split, tasks in turn; scene i depends on the seed and i only."""
    questions: list[Question] = [*yes_no_questions(space), *four_choice_questions(space)]
    everything = all_of(held_out)
    for index in range(settings[f"{split}_scenes"]):
        rng = random.Random(f"{settings['seed']}/{split}/{index}")
        task = TASKS[index % len(TASKS)]
        combination = None
        if split == "heldout":
            combination = held_out[task][index // len(TASKS) % len(held_out[task])]
            scene = draw_held_out(space, combination, everything, rng)
        else:
            scene = draw_trained(space, task, everything, rng)
        caption = choose_caption(scene, task, rng, combination)
        turns: list[tuple[str, str]] = []
        if rng.random() < settings["conversation_share"]:
            turns = choose_turns(scene, questions, everything, settings["questions_per_scene"], rng)
        yield CaptionedScene(f"{split}-{index:06d}", scene, caption, turns, combination)


def records_of(captioned: CaptionedScene, image_size: int, source: str) -> list[dict[str, Any]]:
    """Rows of `SOURCE_RECORD`: the captioned image and, where there are turns, the conversation about it."""
    common = {
        "image": render_png(captioned.scene, image_size),
        "width": image_size,
        "height": image_size,
        "source": source,
    }
    rows = [{"sample_id": captioned.sample_id, "kind": IMAGE_TEXT, "text": captioned.caption.prompt} | common]
    if captioned.turns:
        messages = [
            {"role": role, "content": content}
            for turn in captioned.turns
            for role, content in zip(("user", "assistant"), turn, strict=True)
        ]
        sample_id = f"{captioned.sample_id}-questions"
        rows.append({"sample_id": sample_id, "kind": CONVERSATION, "messages": messages} | common)
    return rows


def make_shapes(job: Job) -> Manifest:
    """Make a `shapes` source.

    Raises:
        SourceError: settings that can't be drawn, or that leave nothing to hold out.
    """
    settings, name = job.settings, job.recipe.name
    space = SceneSpace.from_settings(name, settings)
    held_out = choose_held_out(space.colors, space.shapes, settings["heldout_share"], settings["seed"])
    files: dict[str, int | None] = {}
    facts: dict[str, Any] = {
        "heldout_combinations": {task: [" ".join(c[1:]) for c in chosen] for task, chosen in held_out.items()}
    }
    occurrences: Counter[str] = Counter()
    for split in ("train", "heldout"):
        shown = []
        with ShardWriter(job.folder, split, SOURCE_RECORD) as writer:
            for captioned in captioned_scenes(split, space, held_out, settings):
                for row in records_of(captioned, space.image_size, name):
                    writer.write(row)
                if split == "heldout":
                    shown.append(json.dumps(captioned.as_json()))
                else:
                    occurrences.update(v for o in captioned.scene.objects for v in (o.color, o.shape, o.size))
        files |= writer.files
        facts[f"{split}_records"] = writer.rows
    facts["trained_objects"] = dict(sorted(occurrences.items()))
    write_text(job.folder / "heldout_scenes.jsonl", _lines(shown))
    files["heldout_scenes.jsonl"] = len(shown)
    files |= _write_benchmarks(job, space, held_out, facts)
    rejected = RejectedSamples()  # nothing drawn is ever bad; the table is there because every source has one
    files |= rejected.write(job.folder)
    return job.finish(files, rejected=rejected.counts, facts=facts)


def _write_benchmarks(job: Job, space: SceneSpace, held_out: HeldOut, facts: dict[str, Any]) -> dict[str, int]:
    settings, folder = job.settings, job.folder / "benchmarks"
    prompts = benchmarks.geneval_prompts(space, held_out, settings["prompts_per_task"], settings["seed"])
    write_text(folder / "geneval.jsonl", _lines([json.dumps(claim.metadata()) for claim, _ in prompts]))
    write_text(
        folder / "geneval_scenes.jsonl",
        _lines([json.dumps([scene.as_json() for scene in scenes]) for _, scenes in prompts]),
    )
    distinct = {(claim.task, claim.prompt) for claim, _ in prompts}
    facts["geneval_distinct_prompts"] = dict(sorted(Counter(task for task, _ in distinct).items()))
    files = {"benchmarks/geneval.jsonl": len(prompts), "benchmarks/geneval_scenes.jsonl": len(prompts)}
    pool = benchmarks.scene_pool(space, held_out, settings["seed"])
    for name, make_rows, options in (
        ("pope", benchmarks.pope_rows, False),
        ("mme", benchmarks.mme_rows, False),
        ("mmbench", benchmarks.mmbench_rows, True),
    ):
        rows = make_rows(space, pool, settings["questions_per_benchmark"], settings["seed"])
        write_text(folder / f"{name}.tsv", benchmarks.as_tsv(rows, pool, space.image_size, options=options))
        files[f"benchmarks/{name}.tsv"] = len(rows)
    return files


def _lines(lines: list[str]) -> str:
    return "".join(line + "\n" for line in lines)
