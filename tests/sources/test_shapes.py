"""The `shapes` source as a whole: true captions and answers, a clean split, balanced benchmarks."""

import base64
import csv
import io
import itertools
import json
import random
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from tests.sources.making import make, source_jobs
from tests.sources.reading import answer, is_true
from tests.workflow.project import ROOT
from unix_lib.config import load_experiment
from unix_lib.images.files import image_id
from unix_lib.records.schema import IMAGE, RECORD
from unix_lib.records.shards import read_split
from unix_lib.sources.errors import SourceError
from unix_lib.sources.shapes.benchmarks import scene_pool
from unix_lib.sources.shapes.captioned import captioned_scenes
from unix_lib.sources.shapes.combinations import TASKS, choose_held_out, combinations_in
from unix_lib.sources.shapes.drawing import all_of, draw_trained
from unix_lib.sources.shapes.kind import ShapesRecords, ShapesSource
from unix_lib.sources.shapes.make import conversations
from unix_lib.sources.shapes.scenes import Scene, render_pixels

SETTINGS = {
    "image_size": 32,
    "train_scenes": 1200,
    "heldout_scenes": 120,
    "placement": "cells",
    "jitter": 1,
    "colors": ["red", "green", "blue", "yellow"],
    "shapes": ["circle", "square", "triangle"],
    "heldout_share": 0.15,
    "questions_per_scene": 3,
    "conversation_share": 0.5,
    "seed": 218,
}
RECORDS = ShapesRecords(**SETTINGS)
FREE = RECORDS.model_copy(update={"placement": "free"})
HELD_OUT = choose_held_out(SETTINGS["colors"], SETTINGS["shapes"], 0.15, 218)
EVERYTHING = all_of(HELD_OUT)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(tmp_path_factory.mktemp("results"), "shapes", kind="shapes", **SETTINGS)


def scenes(split, space=RECORDS, **more):
    return list(captioned_scenes(split, space.model_copy(update=more), HELD_OUT))


def trained_turns(**more):
    """(scene, prompt, reply) of every question of the training split."""
    settings = RECORDS.model_copy(update=more)
    turns_of = conversations(settings, HELD_OUT)
    for captioned in captioned_scenes("train", settings, HELD_OUT):
        for prompt, reply in turns_of(captioned):
            yield captioned.scene, prompt, reply


def json_lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def question_rows(folder, name):
    with open(folder / "benchmarks" / f"{name}.tsv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def image_of(rows, row):
    """Pixels of a row's image, through the index of the row that holds it where it is one."""
    data = row["image"] if len(row["image"]) > 64 else rows[int(row["image"])]["image"]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


@pytest.mark.parametrize("space", [RECORDS, FREE], ids=["cells", "free"])
def test_no_training_scene_contains_a_held_out_combination(space):
    for captioned in scenes("train", space):
        assert not combinations_in(captioned.scene) & EVERYTHING


@pytest.mark.parametrize("space", [RECORDS, FREE], ids=["cells", "free"])
def test_every_held_out_scene_and_caption_shows_one(space):
    shown = Counter()
    for captioned in scenes("heldout", space):
        assert captioned.combination in combinations_in(captioned.scene)
        words = captioned.caption.prompt
        task, *parts = captioned.combination
        if task == "position":
            assert parts[0] in words and parts[2] in words
        else:
            assert all(part in words for part in parts)
        shown[captioned.combination] += 1
    assert set(shown) == EVERYTHING


def test_nearly_every_held_out_scene_has_one_new_thing_only():
    alone = [combinations_in(c.scene) & EVERYTHING == {c.combination} for c in scenes("heldout")]
    assert np.mean(alone) > 0.99


@pytest.mark.parametrize("split", ["train", "heldout"])
@pytest.mark.parametrize("space", [RECORDS, FREE], ids=["cells", "free"])
def test_captions_are_true_of_their_scenes(split, space):
    for captioned in scenes(split, space):
        assert is_true(captioned.caption.prompt, captioned.scene), captioned.caption.prompt


@pytest.mark.parametrize("space", [RECORDS, FREE], ids=["cells", "free"])
def test_objects_stay_inside_and_apart(space):
    for captioned in scenes("train", space):
        things = captioned.scene.objects
        assert 1 <= len(things) <= 3
        for index, a in enumerate(things):
            assert a.radius <= min(a.x, a.y) and max(a.x, a.y) <= 32 - a.radius
            for b in things[:index]:
                assert max(abs(a.x - b.x), abs(a.y - b.y)) >= a.radius + b.radius + 2


def test_every_kind_of_caption_and_every_value_gets_its_share_of_training():
    trained = scenes("train")
    tasks = Counter(c.caption.task for c in trained)
    assert tasks == dict.fromkeys(TASKS, len(trained) // 6)
    objects = [o for c in trained for o in c.scene.objects]
    for values in (Counter(o.color for o in objects), Counter(o.shape for o in objects)):
        assert min(values.values()) > 0.6 * len(objects) / len(values)
    words = {word for c in trained for word in c.caption.prompt.split()}
    assert len(words) < 40


def test_answers_in_training_are_true_and_balanced():
    yes_no, letters = Counter(), Counter()
    for scene, prompt, reply in trained_turns():
        question, *lines = prompt.split("\n")
        said = reply
        if lines:
            assert [line[:3] for line in lines] == ["A. ", "B. ", "C. ", "D. "]
            said = lines["ABCD".index(reply)][3:]
            letters[reply] += 1
        else:
            yes_no[reply] += 1
        assert answer(question, scene) == said
    assert abs(yes_no["yes"] - yes_no["no"]) < 0.15 * yes_no.total()
    assert set(letters) == set("ABCD")
    assert min(letters.values()) > 0.6 * letters.total() / 4


def test_training_never_asks_what_would_always_be_denied():
    """A question about a held-out relation has no "yes" in training."""
    asked = Counter((prompt, reply) for _, prompt, reply in trained_turns(train_scenes=8000) if "\n" not in prompt)
    for prompt, _ in asked:
        assert asked[(prompt, "yes")] and asked[(prompt, "no")], prompt
    for _, first, relation, second in HELD_OUT["position"]:
        assert f"Is the {first} {relation} the {second}?" not in {prompt for prompt, _ in asked}


def test_every_coloured_shape_is_trained_in_every_size():
    """What is held out of training is the company of an object, never the object: its image codes are known."""
    seen = {(o.size, o.color, o.shape) for c in scenes("train", train_scenes=3000) for o in c.scene.objects}
    assert seen == set(itertools.product(("small", "large"), SETTINGS["colors"], SETTINGS["shapes"]))


def test_records_have_the_schema_and_show_the_rendered_image(made):
    folder, manifest = made["records"].folder, made["records"].manifest
    table = read_split(folder, "train")
    assert table.schema.equals(RECORD)
    images = {row["image_id"]: row for row in read_split(made["images"].folder, "train").to_pylist()}
    turns_of = conversations(RECORDS, HELD_OUT)
    rows = {row["sample_id"]: row for row in table.to_pylist()}
    assert len(rows) == table.num_rows == manifest.facts["train_records"]
    for captioned in scenes("train")[:50]:
        row = rows[captioned.sample_id]
        assert (row["kind"], row["text"], row["source"]) == ("image_text", captioned.caption.prompt, "shapes")
        [image] = (images[shown] for shown in row["image_ids"])
        assert (image["width"], image["height"]) == (32, 32)
        pixels = np.asarray(Image.open(io.BytesIO(image["image"])))
        assert np.array_equal(pixels, render_pixels(captioned.scene, 32))
        talk, turns = rows.get(f"{captioned.sample_id}-questions"), turns_of(captioned)
        assert (talk is not None) == bool(turns)
        if talk:
            assert talk["kind"] == "conversation" and talk["text"] is None and talk["image_ids"] == row["image_ids"]
            assert [(m["role"], m["content"]) for m in talk["messages"]] == [
                said for turn in turns for said in zip(("user", "assistant"), turn, strict=True)
            ]
    talks = sum(row["kind"] == "conversation" for row in rows.values())
    assert 0.4 < talks / 1200 < 0.6


def test_each_different_image_of_a_split_is_there_once_in_the_order_of_the_scenes(made):
    for split in ("train", "heldout"):
        table = read_split(made["images"].folder, split)
        assert table.schema.equals(IMAGE)
        shown = [image_id(render_pixels(captioned.scene, 32)) for captioned in scenes(split)]
        assert table["image_id"].to_pylist() == list(dict.fromkeys(shown))
        assert table.num_rows == made["images"].manifest.facts[f"{split}_images"]


def test_images_and_held_out_scenes_are_those_of_the_records_whatever_is_asked(made, tmp_path):
    """Neither questions nor their number touch an image or a benchmark that doesn't ask them."""
    jobs = source_jobs(tmp_path, "shapes", kind="shapes", **SETTINGS | {"conversation_share": 0.1})
    assert jobs["images"].recipe.artefact.endswith(made["images"].folder.name)
    assert jobs["benchmarks"].recipe.artefact.endswith(made["benchmarks"].folder.name)
    assert jobs["records"].recipe.artefact != f"sources/{made['records'].folder.name}"


def test_held_out_scenes_are_written_with_their_captions(made):
    lines = json_lines(made["benchmarks"].folder / "heldout_scenes.jsonl")
    table = read_split(made["records"].folder, "heldout").to_pylist()
    records = {row["sample_id"]: row for row in table}
    assert len(lines) == 120
    for line in lines:
        record = records[line["sample_id"]]
        assert record["text"] == line["caption"]
        assert record["image_ids"] == [image_id(render_pixels(Scene.from_json(line), 32))]
        assert tuple(line["combination"]) in combinations_in(Scene.from_json(line))


def test_geneval_prompts_have_its_layout_and_scenes_that_satisfy_them(made):
    folder, manifest = made["benchmarks"].folder, made["benchmarks"].manifest
    prompts, scene_lines = (json_lines(folder / f"benchmarks/{name}.jsonl") for name in ("geneval", "geneval_scenes"))
    assert Counter(p["tag"] for p in prompts) == dict.fromkeys(TASKS, 16)
    assert len({(p["tag"], p["prompt"]) for p in prompts}) == sum(manifest.facts["geneval_distinct_prompts"].values())
    for prompt, four in zip(prompts, scene_lines, strict=True):
        assert set(prompt) - {"exclude"} == {"tag", "include", "prompt"}
        assert ("exclude" in prompt) == (prompt["tag"] == "counting")
        assert len(four) == 4
        for scene in map(Scene.from_json, four):
            assert is_true(prompt["prompt"], scene)
            assert combinations_in(scene) & EVERYTHING
            counts = Counter(o.shape for o in scene.objects)
            for clause in prompt["include"]:
                assert set(clause) <= {"class", "count", "color", "position"}
                assert counts[clause["class"]] >= clause["count"]
                assert ("color" in clause) == (prompt["tag"] in ("colors", "color_attr"))
            assert all(counts[c["class"]] < c["count"] for c in prompt.get("exclude", []))
    position = next(p for p in prompts if p["tag"] == "position")
    relation, target = position["include"][1]["position"]
    first, second = (clause["class"] for clause in position["include"])
    assert target == 0 and f"a {second} {relation} a {first}" in position["prompt"]


@pytest.mark.parametrize(("name", "answers"), [("pope", "yes no"), ("mme", "yes no"), ("mmbench", "A B C D")])
def test_a_guesser_who_knows_the_question_gets_exactly_chance(made, name, answers):
    rows = question_rows(made["benchmarks"].folder, name)
    assert len(rows) == 100
    assert [int(row["index"]) for row in rows] == list(range(100))
    expected = set(answers.split())
    by_question = {}
    for row in rows:
        by_question.setdefault(row["question"], Counter())[row["answer"]] += 1
    for question, counts in by_question.items():
        assert set(counts) == expected and len(set(counts.values())) == 1, question


def test_mme_asks_two_questions_an_image_one_of_them_denied(made):
    rows = question_rows(made["benchmarks"].folder, "mme")
    assert set(Counter(row["category"] for row in rows)) == {"existence", "count", "position", "color"}
    for first, second in zip(rows[::2], rows[1::2], strict=True):
        assert np.array_equal(image_of(rows, first), image_of(rows, second))
        assert {first["answer"], second["answer"]} == {"yes", "no"}
        assert first["category"] == second["category"]


def test_mmbench_has_four_options_and_four_categories(made):
    rows = question_rows(made["benchmarks"].folder, "mmbench")
    assert set(Counter(row["category"] for row in rows)) == {"color", "count", "location", "relation"}
    assert all(len({row[letter] for letter in "ABCD"}) == 4 for row in rows)


@pytest.mark.parametrize("name", ["pope", "mme", "mmbench"])
def test_answers_are_true_of_the_pixels(made, name):
    """The scene is looked up by its pixels, then the question is answered from its words."""
    by_pixels = {render_pixels(s, 32).tobytes(): s for s in scene_pool(RECORDS, HELD_OUT)}
    rows = question_rows(made["benchmarks"].folder, name)
    for row in rows:
        scene = by_pixels[image_of(rows, row).tobytes()]
        assert combinations_in(scene) & EVERYTHING
        said = row[row["answer"]] if name == "mmbench" else row["answer"]
        assert answer(row["question"], scene) == said


def test_making_it_twice_gives_the_same_content(made, tmp_path):
    again = make(tmp_path, "shapes", kind="shapes", **SETTINGS)
    other = make(tmp_path, "shapes", kind="shapes", **SETTINGS | {"seed": 219})
    assert set(made) == {"images", "records", "benchmarks"}
    for what in made:
        assert again[what].manifest.digest == made[what].manifest.digest
        hashes = [
            {f.path: f.sha256 for f in manifest.files} for manifest in (other[what].manifest, again[what].manifest)
        ]
        assert hashes[0] != hashes[1]


def test_the_smallest_and_the_fullest_space_can_be_made(tmp_path):
    small = {"train_scenes": 12, "heldout_scenes": 6, "questions_per_benchmark": 10, "prompts_per_task": 1}
    two = {"colors": ["red", "blue"], "shapes": ["circle", "square"]}
    made = make(tmp_path, "two", kind="shapes", **SETTINGS | small | two)
    assert len(question_rows(made["benchmarks"].folder, "pope")) == 10
    colors = ["red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white"]
    full = {"colors": colors, "shapes": ["circle", "square", "triangle", "cross"], "placement": "free"}
    made = make(tmp_path, "full", kind="shapes", **SETTINGS | small | full)
    assert len(question_rows(made["benchmarks"].folder, "mmbench")) == 8  # whole blocks of four only


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colors": ["red", "rde"]}, r"colors: 'rde' can't be drawn; choose from red, orange"),
        ({"shapes": ["circle", "star"]}, r"shapes: 'star' can't be drawn; choose from circle"),
        ({"colors": ["red", "red"]}, "name each once"),
        ({"jitter": 2}, r"jitter: 2 px .* at most 1"),
    ],
)
def test_settings_that_cannot_be_drawn_are_named(change, message):
    with pytest.raises(ValidationError, match=message):
        ShapesSource(kind="shapes", **SETTINGS | change)


def test_a_space_that_is_all_held_out_is_refused():
    every_color = {("colors", color, shape) for color in RECORDS.colors for shape in RECORDS.shapes}
    with pytest.raises(SourceError, match="lower heldout_share"):
        draw_trained(RECORDS, "colors", every_color, random.Random(1))


@pytest.mark.parametrize("config", ["laptop-long", "premise"])
def test_experiments_whose_verdicts_count_hold_out_eight_combinations_a_task(config):
    sources = load_experiment(ROOT / "config" / f"{config}.yaml").sources.values()
    scenes = [source for source in sources if isinstance(source, ShapesSource)]
    assert scenes
    for source in scenes:
        held_out = choose_held_out(source.colors, source.shapes, source.heldout_share, source.seed)
        assert min(map(len, held_out.values())) >= 8
