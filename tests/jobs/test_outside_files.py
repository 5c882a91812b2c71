"""Whatever a job of any kind reads from outside is part of its recipe, and is checked before and after it is read."""

import os
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.making import make_job
from unix_lib.artefacts.errors import UserError
from unix_lib.artefacts.manifest import MANIFEST
from unix_lib.config.analyze import AnalysisKind
from unix_lib.config.evaluate import ScorerKind
from unix_lib.config.figures import FigureKind
from unix_lib.config.kinds import JobKind, KindField, find_kind, known_kinds
from unix_lib.config.outside import FilesIdentity, ReadsOutside
from unix_lib.config.sources import SourceKind
from unix_lib.config.strict import StrictModel
from unix_lib.config.tokenizers import TokenizerKind
from unix_lib.jobs import job as jobs
from unix_lib.jobs.job_kinds import FIXED, job_kind

SHAPE = {"codebook_size": 16, "image_size": 32, "base_channels": 32}
DECODER = {"hidden_size": 32, "intermediate_size": 32, "layers": 2, "heads": 2}
SAMPLING = {"seed": 1, "images_per_prompt": 1}
HELD_OUT = {"share": 0.1}
CHANCE = {"chance": 0.5, "scorer_version": 1}
MODEL = {"path": "model"}
JUDGES: list[dict[str, Any]] = [
    {"judge": judge, "judge_version": 1}
    for judge in (
        {"kind": "command", "command": ["python3", "judge.py"]},
        {"kind": "mask2former", "detector": MODEL, "clip": MODEL, "known_image": {"path": "judge.py"}},
        {"kind": "image_text", "model": MODEL},
    )
]


def job_kinds() -> dict[tuple[str, str], JobKind[Any]]:
    """Every kind of job of the registries by stage and kind."""
    named = [tuple(name.split("/")) for name in FIXED]
    for name in known_kinds("source"):
        kind = find_kind("source", name, SourceKind)
        named += [("sources", f"{name}/{job}") for job in kind.JOBS if getattr(kind, job) is not None]
    for sort, prefix in (("text tokenizer", "text"), ("image tokenizer", "image")):
        named += [("tokenizers", f"{prefix}/{name}") for name in known_kinds(sort)]
        assert all(find_kind(sort, name, TokenizerKind) for name in known_kinds(sort))
    for name in known_kinds("scorer"):
        named.append(("generate", name))
        kind = find_kind("scorer", name, ScorerKind)
        named += [("generate", f"endpoint/{name}")] * kind.asks_endpoints
        named += [("evaluate", f"{job}/{name}") for job in ("ceiling", "judging") if getattr(kind, job) is not None]
    named += [("analyze", name) for name in known_kinds("analysis") if find_kind("analysis", name, AnalysisKind)]
    named += [("figures", name) for name in known_kinds("figure") if find_kind("figure", name, FigureKind)]
    return {(stage, kind): job_kind(stage, kind) for stage, kind in named}


def models_in(annotation: Any) -> Iterator[type[StrictModel]]:
    """Every settings model that a value may be or hold, those of the registries' kinds included."""
    if isinstance(annotation, KindField):
        for model in annotation.models().values():
            yield from models_in(model)
    elif isinstance(annotation, type) and issubclass(annotation, StrictModel):
        yield annotation
        for field in annotation.model_fields.values():
            for inner in (field.annotation, *field.metadata):
                yield from models_in(inner)
    else:
        for inner in (*typing.get_args(annotation), *getattr(annotation, "__metadata__", ())):
            yield from models_in(inner)


def readers(kind: JobKind[Any]) -> set[type[ReadsOutside]]:
    """Models in a kind's settings that say what they read from outside."""
    found = {model for model in models_in(kind.settings) if issubclass(model, ReadsOutside)}
    return {model for model in found if not any(other is not model and issubclass(other, model) for other in found)}


READING = {name: kind for name, kind in job_kinds().items() if readers(kind)}
# Settings of a job of each kind that reads something from outside: files of the folder that `outside` makes.
EXAMPLES: dict[tuple[str, str], list[dict[str, Any]]] = {
    ("sources", "image_folder/images"): [
        {"folder": "images", "captions": "captions.jsonl", "source": "x", "shard": 0, "held_out": HELD_OUT}
    ],
    ("sources", "image_folder/records"): [
        {"folder": "images", "captions": "captions.jsonl"},
        {"folder": "images"},  # whose captions lie beside them
    ],
    ("sources", "text/records"): [
        {"corpus": "files", "files": ["texts/**/*.txt"], "source": "x", "shard": 0, "held_out": HELD_OUT}
    ],
    **{
        ("sources", f"{kind}/{job}"): [{"files": ["rows/*"], "source": "x", "shard": 0, "held_out": HELD_OUT} | more]
        for kind in ("finevision", "image_pairs", "webdataset", "jsonl", "conversations")
        for job, more in (("images", {"image_folder": "images"} if kind == "jsonl" else {}), ("records", {}))
        if (kind, job) != ("conversations", "images")
    },
    **{
        ("sources", f"{kind}/screening"): [{"benchmark_files": {"questions.tsv": "mme"}}]
        for kind in ("image_folder", "finevision", "image_pairs", "webdataset", "jsonl")
    },
    ("tokenizers", "text/pretrained"): [{"path": "model"}],
    ("tokenizers", "image/pretrained"): [{"path": "model", "shape": SHAPE}],
    ("train", "imported"): [{"path": "model", "name": "x"}],
    ("train", "checkpoint"): [
        {
            "run": "x",
            "run_digest": "0",
            "step": 0,
            "seed": 1,
            "mixture": "x",
            "plan": {"preset": "shared"},
            "optimization": {"total_steps": 1},
            "start": {"kind": "pretrained", "path": "model", "shape": DECODER},
        }
    ],
    **{
        ("generate", f"{asked}{scorer}"): [
            {"file": "questions.tsv", "layout": "mme", "max_answer_tokens": 1, "question_suffix": ""}
        ]
        for scorer in ("yes_no", "multiple_choice")
        for asked in ("", "endpoint/")
    },
    **{
        ("generate", f"{asked}{scorer}"): [
            {"file": "questions.tsv", "prompts": "captions.jsonl", "image_sampling": SAMPLING}
        ]
        for scorer in ("geneval", "dpg")
        for asked in ("", "endpoint/")
    },
    ("generate", "lm_eval"): [{"file": "questions.tsv"}],
    ("evaluate", "scores"): [
        {"run": "x", "step": 0, "group": "x", "bootstrap_samples": 100, "benchmarks": {"x": CHANCE | scoring}}
        for scoring in (
            {"scorer": "yes_no", "layout": "mme", "file": "questions.tsv"},
            {"scorer": "multiple_choice", "layout": "mme", "file": "questions.tsv"},
            {"scorer": "lm_eval", "file": "questions.tsv"},
            *({"scorer": "geneval", "file": "questions.tsv", "seed": 1} | judge for judge in JUDGES),
            {"scorer": "image_distance", "source": "x", "features": {"path": "model"}},
            *({"scorer": "dpg", "prompts": "captions.jsonl"} | judge for judge in JUDGES),
        )
    ],
    ("evaluate", "judging/image_distance"): [{"features": {"path": "model"}}],
    ("evaluate", "judging/dpg"): [{"prompts": "captions.jsonl"} | judge for judge in JUDGES],
    ("evaluate", "ceiling/geneval"): [{"benchmark": "x", "bootstrap_samples": 100} | judge for judge in JUDGES],
}
CASES = [(name, index) for name, examples in EXAMPLES.items() for index in range(len(examples))]
FILES = (
    *("images/0.png", "images/1.png", "captions.jsonl", "images/0.txt", "texts/a/0.txt", "texts/1.txt"),
    *("rows/0.jsonl", "rows/1.jsonl"),
    *("model/config.json", "model/deep/weights", "questions.tsv", "judge.py"),
)


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's root with outside files of all sorts."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    rows = [f'{{"image": "{number}.png", "caption": "words"}}\n' for number in (0, 1)]
    (tmp_path / "captions.jsonl").write_text("".join(rows))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def planned(name: tuple[str, str], index: int) -> Any:
    stage, kind = name
    return make_job(Path("results"), stage, "x", kind, READING[name].settings.model_validate(EXAMPLES[name][index]))


def parts(value: Any) -> Iterator[ReadsOutside]:
    if isinstance(value, StrictModel):
        if isinstance(value, ReadsOutside):
            yield value
        value = [getattr(value, name) for name in type(value).model_fields]
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from parts(inner)


def files_read(job: Any) -> list[Path]:
    """The outside files that are part of a job's recipe: those whose contents change it."""
    found = []
    for name in FILES:
        before = Path(name).read_bytes()
        Path(name).write_bytes(before + b" \n")
        changed = any(part.identify(job.outside.anew()) != part.identity for part in parts(job.settings))
        Path(name).write_bytes(before)
        found += [Path(name)] * changed
    return found


def run(job: Any, monkeypatch: pytest.MonkeyPatch, while_reading: Callable[[], object]) -> None:
    """Do a job whose function reads nothing, but takes the time for something to happen meanwhile."""

    def make(job: Any) -> None:
        if READING[job.recipe.stage, job.recipe.kind].reads_when_it_says:
            job.begin_reading()
            while_reading()
            job.end_reading()
        else:
            while_reading()
        job.finish({})

    monkeypatch.setattr(jobs, "imported", lambda _: make)
    job.make()


def test_every_kind_that_reads_from_outside_has_an_example() -> None:
    assert set(EXAMPLES) == set(READING)
    for name, examples in EXAMPLES.items():
        shown = {type(part) for each in examples for part in parts(READING[name].settings.model_validate(each))}
        assert shown == readers(READING[name]), name


def test_no_settings_of_a_job_hold_an_identity_that_nobody_checks_or_name_files_without_one() -> None:
    for name, kind in job_kinds().items():
        for model in models_in(kind.settings):
            for key, field in model.model_fields.items():
                if FilesIdentity in (field.annotation, *typing.get_args(field.annotation)):
                    assert issubclass(model, ReadsOutside), (name, model)
                    assert model.identify is not ReadsOutside.identify, (name, model)
                words = set((field.description or "").replace(",", " ").split())
                names_files = field.annotation in (str, str | None, list[str]) and words & {"file", "files", "folder"}
                assert not names_files or issubclass(model, ReadsOutside), (name, model, key)


@pytest.mark.parametrize(("name", "index"), CASES)
def test_a_job_is_refused_when_a_file_changed_since_the_plan_or_while_it_reads(
    name: tuple[str, str], index: int, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = files_read(planned(name, index))
    assert read
    run(job := planned(name, index), monkeypatch, lambda: None)
    assert (job.folder / MANIFEST).is_file()
    for path in read:
        before, times = path.read_bytes(), (path.stat().st_atime_ns, path.stat().st_mtime_ns)
        job = planned(name, index)
        (job.folder / MANIFEST).unlink(missing_ok=True)
        path.write_bytes(before + b" \n")
        with pytest.raises(UserError, match=r"changed after the plan was made; run again$"):
            run(job, monkeypatch, lambda: pytest.fail("it must not begin"))
        path.write_bytes(before)
        os.utime(path, ns=times)

        def changed_as_if_never(path: Path = path, before: bytes = before, times: tuple[int, int] = times) -> None:
            path.write_bytes(before[::-1])
            assert path.read_bytes() != before
            os.utime(path, ns=times)

        def written_again(path: Path = path, before: bytes = before) -> None:
            path.write_bytes(before[::-1])
            path.write_bytes(before)

        for happens in (changed_as_if_never, written_again, path.unlink):
            with pytest.raises(UserError, match=r"changed after the plan was made|while it was being read"):
                run(planned(name, index), monkeypatch, happens)
            assert not (job.folder / MANIFEST).exists()
            path.write_bytes(before)
        os.utime(path, ns=times)


@pytest.mark.parametrize(("name", "index"), CASES)
def test_a_file_that_cannot_be_read_is_one_line_or_set_aside(
    name: tuple[str, str],
    index: int,
    outside: Path,
    monkeypatch: pytest.MonkeyPatch,
    unreadable: Callable[[Path], None],
) -> None:
    path = files_read(whole := planned(name, index))[0]
    unreadable(outside / path)
    job = planned(name, index)
    assert job.recipe.digest != whole.recipe.digest
    if all(part.sets_aside for part in parts(job.settings)):
        run(job, monkeypatch, lambda: None)
    else:
        with pytest.raises(UserError, match=f"{path} can't be read; make it a file") as refused:
            run(job, monkeypatch, lambda: None)
        assert "\n" not in str(refused.value)


def test_other_processes_of_a_job_leave_the_looking_to_the_first(
    outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = planned(("tokenizers", "text/pretrained"), 0)
    Path("model/config.json").write_text("changed")
    monkeypatch.setenv("RANK", "1")
    run(job, monkeypatch, lambda: None)
    (job.folder / MANIFEST).unlink()
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(UserError, match="changed after the plan"):
        run(job, monkeypatch, lambda: None)


def test_a_judges_program_of_the_machine_is_no_file_of_the_project(outside: Path) -> None:
    Path("python").symlink_to(Path(os.__file__))
    name = ("evaluate", "ceiling/geneval")
    for command, read in (
        (["judge.py"], ["judge.py"]),
        (["./python", "judge.py"], ["judge.py"]),
        (["python3", "-m", "judge"], []),
        (["python3", "judge.py", "--weights", "model/deep/weights"], ["model/deep/weights", "judge.py"]),
    ):
        settings = EXAMPLES[name][0] | {"judge": {"kind": "command", "command": command}}
        job = make_job(Path("results"), name[0], "x", name[1], READING[name].settings.model_validate(settings))
        assert files_read(job) == [Path(path) for path in read], command
        assert ("identity" in job.recipe.settings["judge"]) == bool(read)
