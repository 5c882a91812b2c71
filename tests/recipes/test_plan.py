"""What a plan's recipes depend on, and what they don't."""

import copy
import hashlib
import os
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import pytest

from tests.artefacts.damage import DAMAGES, damage
from tests.recipes.finished import ROOT, small_plan
from tests.workflow.small_config import CONFIG
from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.files import sha256_of
from unix_lib.artefacts.recipe import Recipe, RecipeError, read_recipe, write_recipe
from unix_lib.config import load_experiment, parse_experiment
from unix_lib.config.analyze import AnalysisKind
from unix_lib.config.file_hashes import FileHashes
from unix_lib.config.generate import Worded
from unix_lib.config.kinds import find_kind
from unix_lib.config.outside import FilesIdentity, Outside
from unix_lib.jobs.job import Job
from unix_lib.recipes.plan import STAGES
from unix_lib.recipes.resolve import resolve


def changed(change: Any) -> set[str]:
    """Names of the jobs whose recipe a change alters."""
    before = {(j.recipe.stage, j.recipe.name): a for a, j in small_plan().jobs.items()}
    after = {(j.recipe.stage, j.recipe.name): a for a, j in small_plan(change).jobs.items()}
    return {f"{stage}/{name}" for (stage, name), a in after.items() if before.get((stage, name)) != a}


def test_every_input_is_planned_before_it_is_used() -> None:
    seen: set[str] = set()
    plan = small_plan()
    for artefact, job in plan.jobs.items():
        assert set(job.recipe.upstream) <= seen
        assert set(job.after) <= seen
        assert job.made_by is None or plan.jobs[job.made_by].recipe.in_role("answers").count(artefact) == 1
        seen.add(artefact)


def test_a_job_reads_back_the_settings_that_it_was_planned_with(tmp_path: Path) -> None:
    """Whatever its kind: what is written to disk says all that the plan knew."""
    for artefact, planned in small_plan().jobs.items():
        write_recipe(planned.recipe, tmp_path)
        job: Job[Any, Any] = Job.of(read_recipe(planned.recipe.path(tmp_path)), tmp_path, planned.execution)
        assert job.settings == planned.settings, artefact
        assert type(job.settings) is type(planned.settings)
        assert job.execution == planned.execution


def test_a_group_of_a_mixture_is_answered_by_the_runs_that_are_trained_on_it() -> None:
    def two_mixtures(values: dict[str, Any]) -> None:
        values["pack"]["mixtures"]["other"] = {"parts": [{"source": "digits"}]}
        values["train"]["runs"]["unix"]["mixture"] = "other"
        cloze = values["evaluate"]["benchmarks"]["cloze"]
        values["evaluate"]["benchmarks"] |= {"here": cloze, "there": cloze}
        values["evaluate"]["groups"] |= {"at-mixed": ["here"], "at-other": ["there"]}
        values["evaluate"]["mixtures"] = {"at-mixed": "mixed", "at-other": "other"}

    plan = small_plan(two_mixtures)
    scored = {plan.jobs[artefact].recipe.name for artefact in plan.of_kind("evaluate", "scores")}
    steps = ("00000", "00010", "00030")
    assert scored == {
        f"{run}-step-{step}-{group}"
        for step in steps
        for run, groups in (("shared", ("all", "at-mixed")), ("unix", ("all", "at-other")))
        for group in groups
    }
    assert {plan.jobs[a].recipe.name for a in plan.of_stage("generate")} >= {f"shared-step-{s}-here" for s in steps}
    assert not any("shared" in artefact and "there" in artefact for artefact in plan.of_stage("generate"))


def test_figures_that_must_be_named_are_drawn_only_then() -> None:
    def figures(names: list[str] | None) -> set[str]:
        plan = small_plan(lambda values: values.update(figures={} if names is None else {"names": names}))
        return {plan.jobs[artefact].recipe.name for artefact in plan.of_stage("figures")}

    assert "claims" in figures(None) and "dose_response" not in figures(None)
    assert figures(["dose_response"]) == {"dose_response"}


def test_a_change_alters_exactly_what_is_behind_it() -> None:
    def other_seed(values: dict[str, Any]) -> None:
        values["train"]["runs"]["unix"]["seed"] = 7

    names = changed(other_seed)
    assert all("unix" in name or name.startswith(("figures/scores", "report/")) for name in names)
    assert "train/unix-step-00000" in names


def test_operational_and_numeric_keys_alter_nothing() -> None:
    def other_machine(values: dict[str, Any]) -> None:
        values["train"] |= {"micro_batch": 1, "zero_stage": 2, "job": {"gpus": 1, "nodes": 2}}
        values["generate"] = {"batch_size": 7}

    assert changed(other_machine) == set()


def test_separators_alter_the_vocabulary_and_what_is_behind_it() -> None:
    def a_row_each(values: dict[str, Any]) -> None:
        values["tokenizers"]["image_separator_every"] = 8

    names = changed(a_row_each)
    assert {"tokenizers/vocabulary", "pack/mixed", "train/unix-step-00000"} <= names
    assert not any(name.startswith(("sources/", "encode/", "tokenizers/text", "tokenizers/image")) for name in names)


def test_a_checkpoint_depends_on_its_run_and_step_not_on_the_list_of_checkpoints() -> None:
    def one_more(values: dict[str, Any]) -> None:
        values["train"]["runs"]["unix"]["checkpoints"] = [0, 10, 20, 30]

    assert {n for n in changed(one_more) if n.startswith("train/")} == {"train/unix-step-00020"}


def test_the_largest_shipped_plan_stays_under_a_thousand_jobs() -> None:
    plan = resolve(load_experiment(ROOT / "config" / "ablation-1.5b.yaml"), ROOT)
    assert len(plan.targets(*STAGES)) <= 1000


def test_external_files_are_part_of_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")
    cache = tmp_path / "hashes.json"
    outside = Outside(tmp_path, FileHashes(cache))
    first = outside.files([Path("a.txt")])
    outside.hashes.save()

    def again() -> FilesIdentity:
        return Outside(tmp_path, FileHashes(cache)).files([Path("a.txt")])

    assert again() == first
    (tmp_path / "a.txt").write_text("two!")
    assert again() != first
    assert outside.files([Path("absent")]).count == 0
    os.utime(tmp_path / "a.txt", (1e9, 1e9))  # a file that was written just now is not remembered
    outside = outside.anew()
    outside.files([Path("a.txt")])
    outside.hashes.save()
    kept = cache.read_text()
    for how in DAMAGES:
        cache.write_text(kept)
        damage(cache, how)
        assert again().bytes == 4
    digest = sha256_of(tmp_path / "a.txt")
    cache.write_text(kept.replace(digest, digest[::-1]))  # a digest like any other
    assert cache.read_text() != kept and again() == outside.files([Path("a.txt")])


def test_the_identity_of_files_bears_any_name(tmp_path: Path) -> None:
    folder, cache = tmp_path / "images", tmp_path / "hashes.json"
    folder.mkdir()
    odd = folder / os.fsdecode(b"caf\xe9.png")
    odd.write_bytes(b"one")
    outside = Outside(tmp_path, FileHashes(cache))
    first = outside.files([folder])
    outside.hashes.save()
    assert Outside(tmp_path, FileHashes(cache)).files([folder]) == first
    odd.rename(folder / "caf\u00e9.png")
    assert outside.files([folder]).sha256 != first.sha256
    listed = f"images/caf\u00e9.png\0{3}\0{hashlib.sha256(b'one').hexdigest()}\n"
    assert outside.files([folder]).sha256 == hashlib.sha256(listed.encode()).hexdigest()


def test_a_local_pretrained_folder_is_part_of_the_recipe_and_a_hub_id_is_not(tmp_path: Path) -> None:
    values = copy.deepcopy(CONFIG)
    model = tmp_path / "models" / "qwen"
    shape = values["train"]["runs"]["base"]["start"]["shape"]
    values["train"]["runs"]["base"]["start"] = {"kind": "pretrained", "path": "models/qwen", "shape": shape}
    values["tokenizers"]["text"] = {"kind": "pretrained", "path": "models/qwen"}

    def recipes() -> dict[str, Recipe]:
        plan = resolve(parse_experiment(values, "test", ROOT), tmp_path)
        return {f"{job.recipe.stage}/{job.recipe.name}": job.recipe for job in plan.jobs.values()}

    hub = recipes()
    assert "identity" not in hub["tokenizers/text"].settings
    model.mkdir(parents=True)
    (model / "model.safetensors").write_bytes(b"one")
    first = recipes()
    base = next(name for name in first if name.startswith("train/base"))
    assert first["tokenizers/text"].settings["identity"]["count"] == 1
    assert first[base].settings["start"]["identity"] == first["tokenizers/text"].settings["identity"]
    (model / "model.safetensors").write_bytes(b"two")
    assert {name for name, recipe in recipes().items() if recipe.digest == first[name].digest} == {
        name for name in first if name.startswith(("sources/", "translate/", "encode/", "tokenizers/image"))
    }


def test_what_was_changed_after_the_plan_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").write_bytes(b"one")


def test_a_recipe_is_written_once_and_refused_when_changed(tmp_path: Path) -> None:
    recipe = Recipe(
        "pack", "mixed", "packs", 1, {"length": 10}, {"records": ["encode/a-0", "encode/b-0"], "v": "x/y-0"}
    )
    write_recipe(recipe, tmp_path)
    path = recipe.path(tmp_path)
    assert read_recipe(path) == recipe
    assert recipe.upstream == ["encode/a-0", "encode/b-0", "x/y-0"]
    path.write_text(path.read_text().replace("10", "11"))
    with pytest.raises(RecipeError, match="was changed"):
        read_recipe(path)
    write_recipe(recipe, tmp_path)  # an existing file is left as it is
    path.write_text("{")
    with pytest.raises(RecipeError, match="unreadable"):
        read_recipe(path)
    with pytest.raises(RecipeError, match="no such recipe"):
        read_recipe(tmp_path / "none.json")


def test_the_digest_covers_every_part_of_a_recipe() -> None:
    base = Recipe("pack", "mixed", "packs", 1, {"length": 10}, {"a": "x/y-0"})
    others = [
        Recipe("pack", "mixed", "packs", 2, {"length": 10}, {"a": "x/y-0"}),
        Recipe("pack", "mixed", "packs", 1, {"length": 11}, {"a": "x/y-0"}),
        Recipe("pack", "mixed", "packs", 1, {"length": 10}, {"a": "x/y-1"}),
        Recipe("pack", "text", "packs", 1, {"length": 10}, {"a": "x/y-0"}),
        Recipe("pack", "mixed", "others", 1, {"length": 10}, {"a": "x/y-0"}),
    ]
    assert len({r.digest for r in [base, *others]}) == 6


def changed_from(values: dict[str, Any], change: Any, root: Path) -> set[str]:
    """As `changed`, for a config and a root of the test's own."""

    def artefacts() -> dict[str, str]:
        plan = resolve(parse_experiment(copy.deepcopy(values), "test", ROOT), root)
        return {f"{job.recipe.stage}/{job.recipe.name}": artefact for artefact, job in plan.jobs.items()}

    before = artefacts()
    change(values)
    return {name for name, artefact in artefacts().items() if before.get(name) != artefact}


@pytest.fixture
def photos(tmp_path: Path) -> dict[str, Any]:
    """The small config with two photographs beside it."""
    (tmp_path / "images").mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / "images" / name).write_bytes(name.encode())
    (tmp_path / "captions.csv").write_text("image,caption\na.png,one\nb.png,two\n")
    values = copy.deepcopy(CONFIG)
    values["sources"]["photos"] = {
        "kind": "image_folder",
        "folder": "images",
        "captions": "captions.csv",
        "image_size": 32,
    }
    values["tokenizers"]["image"]["sources"] = ["digits", "photos"]
    values["tokenizers"]["text"]["sources"] = ["prose", "photos"]
    values["pack"]["mixtures"]["mixed"]["parts"].append({"source": "photos"})
    return values


def test_a_corrected_caption_encodes_no_image_and_trains_no_image_tokenizer(
    photos: dict[str, Any], tmp_path: Path
) -> None:
    def correct(_: dict[str, Any]) -> None:
        (tmp_path / "captions.csv").write_text("image,caption\na.png,one\nb.png,better\n")

    names = changed_from(photos, correct, tmp_path)
    assert {"sources/photos", "tokenizers/text", "pack/mixed", "train/unix-step-00010"} <= names
    assert not names & {"sources/photos-images", "tokenizers/image", "encode/photos", "encode/digits"}


def test_only_files_that_captions_name_count(photos: dict[str, Any], tmp_path: Path) -> None:
    def litter(_: dict[str, Any]) -> None:
        (tmp_path / "images" / ".DS_Store").write_bytes(b"litter")

    def another_picture(_: dict[str, Any]) -> None:
        (tmp_path / "images" / "a.png").write_bytes(b"another")

    assert changed_from(photos, litter, tmp_path) == set()
    assert {"sources/photos-images", "encode/photos", "tokenizers/image"} <= changed_from(
        photos, another_picture, tmp_path
    )


def test_another_text_tokenizer_encodes_no_image(photos: dict[str, Any], tmp_path: Path) -> None:
    def larger(values: dict[str, Any]) -> None:
        values["tokenizers"]["text"]["vocabulary_size"] = 600

    names = changed_from(photos, larger, tmp_path)
    assert {"tokenizers/text", "pack/mixed"} <= names
    assert not [name for name in names if name.startswith(("sources/", "encode/", "tokenizers/image"))]


def test_a_benchmark_of_a_source_trains_nothing_again(tmp_path: Path) -> None:
    def fewer(values: dict[str, Any]) -> None:
        values["sources"]["prose"]["cloze_questions"] = 100

    names = changed_from(copy.deepcopy(CONFIG), fewer, tmp_path)
    assert "sources/prose-benchmarks" in names
    assert {name.split("/")[0] for name in names} == {"sources", "generate", "evaluate", "figures", "report"}


def test_guidance_touches_generated_images_and_nothing_else() -> None:
    values = copy.deepcopy(CONFIG)
    values["sources"]["scenes"] = {"kind": "shapes"}
    values["evaluate"]["benchmarks"]["geneval"] = {"scorer": "geneval", "source": "scenes"}
    values["evaluate"]["groups"]["all"].append("geneval")

    def stronger(values: dict[str, Any]) -> None:
        values["generate"] = {"image_sampling": {"guidance_scale": 2.0}}

    names = changed_from(values, stronger, ROOT)
    assert {name for name in names if name.startswith("generate/") and "group" not in name} == {
        f"generate/{run}-step-{step}-geneval" for run in ("shared", "unix") for step in ("00000", "00010", "00030")
    }
    assert not [name for name in names if name.startswith(("train/", "pack/", "sources/"))]


def test_how_answers_are_scored_generates_nothing_again() -> None:
    def more_resamples(values: dict[str, Any]) -> None:
        values["evaluate"]["bootstrap_samples"] = 500
        values["evaluate"]["benchmarks"]["cloze"]["chance"] = 0.2

    assert not [name for name in changed(more_resamples) if name.startswith("generate/")]


def test_prompts_follow_the_mixture_and_leave_the_digests_of_the_usual_ones() -> None:
    published = {"template": "published", "instruction_languages": ["de", "en"]}
    wordings = []
    for mixture in ({}, published):
        config = load_experiment(ROOT / "config" / "smoke.yaml", overrides={"pack": {"mixtures": {"mixed": mixture}}})
        jobs = [job for job in resolve(config, ROOT).jobs.values() if isinstance(job.settings, Worded)]
        drawn = {"geneval", "dpg", "image_distance", "caption_samples"}
        assert {job.recipe.kind for job in jobs} == drawn | {"yes_no", "multiple_choice", "caption_ranking"}
        assert all(("wording" in job.recipe.settings) == bool(mixture) for job in jobs)
        wordings.append({(job.settings.wording.template, job.settings.wording.language) for job in jobs})
    assert wordings == [{("ours", "en")}, {("published", "de")}]


@pytest.mark.parametrize(
    ("left_out", "stages", "figures"),
    [
        (
            ["translate", "pack", "train", "evaluate", "report"],
            {"sources", "tokenizers", "encode", "analyze", "figures"},
            {"conditional_entropy", "reconstructions", "text_cost"},
        ),
        (
            ["evaluate", "analyze", "report"],
            {"sources", "translate", "tokenizers", "encode", "tokenize", "pack", "train", "analyze", "figures"},
            {"loss_curves", "heldout_loss", "reconstructions", "text_cost", "caption_samples"},
        ),
        (
            ["pack", "train", "evaluate", "analyze", "report"],
            {"sources", "translate", "tokenizers", "encode", "analyze", "figures"},
            {"reconstructions", "text_cost"},
        ),
        (["tokenizers", "pack", "train", "evaluate", "analyze", "report"], {"sources", "translate"}, set()),
    ],
    ids=["entropy", "one run", "data", "sources"],
)
def test_every_stage_after_the_sources_may_be_left_out(
    left_out: list[str], stages: set[str], figures: set[str]
) -> None:
    values = copy.deepcopy(CONFIG)
    for name in left_out:
        values.pop(name)
    del values["figures"]
    if "train" in left_out:
        values.get("analyze", {}).pop("conflict", None)
    plan = resolve(parse_experiment(values, "test", ROOT), ROOT)
    assert {job.recipe.stage for job in plan.jobs.values()} == stages
    assert {plan.jobs[artefact].recipe.name for artefact in plan.of_stage("figures")} == figures


def test_a_run_may_be_called_like_anything() -> None:
    """Jobs are told apart by their kind: a name decides nothing."""
    values = copy.deepcopy(CONFIG)
    for name in ("ceiling-b", "conflict-c", "entropy", "group-all"):
        values["train"]["runs"][name] = copy.deepcopy(values["train"]["runs"]["shared"])
    plan = resolve(parse_experiment(values, "test", ROOT), ROOT)
    assert len(plan.of_kind("evaluate", "scores")) == 6 * 3
    assert plan.of_kind("evaluate", "ceiling") == []
    assert len(plan.of_kind("analyze", "entropy")) == 1
    assert len(plan.of_kind("analyze", "conflict")) == 6 * 2


def test_what_belongs_to_a_run_or_an_analysis_does_not_depend_on_how_others_are_called() -> None:
    values = copy.deepcopy(CONFIG)
    conflict = {"kind": "conflict", "mixture": "mixed"}
    values["analyze"] = {"a": {**conflict, "runs": ["unix"]}, "a-b": {**conflict, "runs": ["shared", "unix"]}}
    values["train"]["runs"]["unix-b"] = copy.deepcopy(values["train"]["runs"]["unix"])
    plan = resolve(parse_experiment(values, "test", ROOT), ROOT)
    names = {
        part: [plan.jobs[artefact].recipe.name for artefact in artefacts]
        for stage in ("train", "analyze")
        for part, artefacts in plan.parts(stage).items()
    }
    assert names["unix"] == [f"unix-step-{step}" for step in ("00000", "00010", "00030")]
    assert names["a"] == [f"a-unix-step-{step}" for step in ("00010", "00030")]
    assert names["a-b"] == [f"a-b-{run}-step-{step}" for run in ("shared", "unix") for step in ("00010", "00030")]


def test_two_jobs_of_one_name_are_refused() -> None:
    values = copy.deepcopy(CONFIG)
    conflict = {"kind": "conflict", "mixture": "mixed"}
    values["analyze"] = {"a": {**conflict, "runs": ["b-unix"]}, "a-b": {**conflict, "runs": ["unix"]}}
    values["train"]["runs"]["b-unix"] = copy.deepcopy(values["train"]["runs"]["unix"])
    with pytest.raises(UserError, match=r"^analyze: two jobs would be called 'a-b-unix-step-00010'; rename one"):
        resolve(parse_experiment(values, "test", ROOT), ROOT)


def test_figures_read_one_kind_of_analysis_by_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    conflict = find_kind("analysis", "conflict", AnalysisKind)

    class Mine(conflict.settings):
        kind: Literal["mine.conflict"]

    outside = ModuleType("mine.conflict")
    outside.KIND = replace(conflict, settings=Mine)
    monkeypatch.setitem(sys.modules, "mine.conflict", outside)
    values = copy.deepcopy(CONFIG)
    values["analyze"] = {"mine": {"kind": "mine.conflict", "mixture": "mixed", "runs": ["unix"]}}
    plan = resolve(parse_experiment(values, "test", ROOT), ROOT)
    assert len(plan.of_kind("analyze", "mine.conflict")) == 2
    values["analyze"]["conflict"] = {"mixture": "mixed", "runs": ["unix"]}
    with pytest.raises(UserError, match=r"something else as 'conflict'; rename the module of kind 'mine\.conflict'"):
        resolve(parse_experiment(values, "test", ROOT), ROOT)


def test_a_source_may_not_be_called_like_a_part_of_another() -> None:
    values = copy.deepcopy(CONFIG)
    values["sources"]["digits-images"] = {"kind": "digits"}
    with pytest.raises(UserError, match="'digits-images' is what the images of source 'digits' are called; rename it"):
        parse_experiment(values, "test", ROOT)


def test_a_source_is_cut_into_parts_and_a_new_file_adds_jobs(photos: dict[str, Any], tmp_path: Path) -> None:
    """Nothing of the parts before it is made again."""
    photos["sources"]["photos"]["shard_images"] = 2
    photos["tokenizers"]["image"]["sources"] = ["digits"]

    def three_more(_: dict[str, Any]) -> None:
        for name in ("c.png", "d.png", "e.png"):
            (tmp_path / "images" / name).write_bytes(name.encode())
        rows = "".join(f"{name}.png,text {name}\n" for name in "abcde")
        (tmp_path / "captions.csv").write_text("image,caption\n" + rows)

    names = changed_from(photos, three_more, tmp_path)
    made = {name for name in names if name.startswith(("sources/photos-images", "encode/photos"))}
    assert made == {
        "sources/photos-images-0001", "sources/photos-images-0002", "encode/photos-0001", "encode/photos-0002",
    }  # fmt: skip
    plan = resolve(parse_experiment(photos, "test", ROOT), tmp_path)
    assert [plan.jobs[artefact].recipe.name for artefact in plan.codes("photos")] == [
        "photos", "photos-0001", "photos-0002",
    ]  # fmt: skip
    pack = plan.jobs[plan.pack("mixed")].recipe
    assert pack.in_role("codes:photos") == plan.codes("photos")


def test_a_new_file_of_a_source_that_the_image_tokenizer_learns_from_encodes_everything_anew(
    photos: dict[str, Any], tmp_path: Path
) -> None:
    def one_more(_: dict[str, Any]) -> None:
        (tmp_path / "images" / "c.png").write_bytes(b"c.png")
        (tmp_path / "captions.csv").write_text("image,caption\na.png,one\nb.png,two\nc.png,three\n")

    names = changed_from(photos, one_more, tmp_path)
    assert {"tokenizers/image", "encode/photos", "encode/digits"} <= names
    assert not {"sources/digits-images", "sources/digits"} & names


def test_texts_are_cut_into_parts_by_their_size(tmp_path: Path) -> None:
    values = copy.deepcopy(CONFIG)
    values["sources"]["prose"] = {"kind": "text", "corpus": "files", "files": ["*.txt"], "shard_megabytes": 1}
    for number in range(5):
        (tmp_path / f"{number}.txt").write_text(f"{number}" * 600_000)

    def one_more(_: dict[str, Any]) -> None:
        (tmp_path / "5.txt").write_text("5" * 600_000)

    plan = resolve(parse_experiment(values, "test", ROOT), tmp_path)
    assert [plan.jobs[artefact].recipe.name for artefact in plan.records("prose")] == [
        "prose", "prose-0001", "prose-0002",
    ]  # fmt: skip
    names = changed_from(values, one_more, tmp_path)
    assert {name for name in names if name.startswith("sources/prose")} == {
        "sources/prose-0002", "sources/prose-benchmarks",
    }  # fmt: skip


def test_too_many_parts_are_refused(photos: dict[str, Any], tmp_path: Path) -> None:
    photos["sources"]["photos"]["shard_images"] = 1
    photos["most_shards"] = 1
    with pytest.raises(UserError, match=r"sources\.photos: 2 parts are more than most_shards 1; make the parts larger"):
        resolve(parse_experiment(photos, "test", ROOT), tmp_path)
