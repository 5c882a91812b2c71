"""`fetch --pin` against a hub of the test's own: the lock that it writes, what reads it, and what goes wrong."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from huggingface_hub import HfApi
from typer.testing import CliRunner, Result

from tests.fetch.small_hub import COMMIT, LATER, SmallHub, serving
from unix_lib.__main__ import app
from unix_lib.artefacts.errors import UserError
from unix_lib.config import ConfigError, load_experiment
from unix_lib.config.file_hashes import FileHashes
from unix_lib.config.hub import not_pinned
from unix_lib.config.hub_files import hub_snapshot
from unix_lib.config.outside import Outside, require_unchanged
from unix_lib.config.row_files import PlannedRows, RowFiles
from unix_lib.fetch import attempts, listings
from unix_lib.fetch.needs import needs_of
from unix_lib.recipes.resolve import resolve

CONFIG = """
experiment: mine
sources:
  web: {kind: text, repository: owner/web, files: ["sample/*.jsonl"]}
  chats: {kind: conversations, repository: owner/chats, revision: v1.0, files: ["*.jsonl"]}
tokenizers:
  text: {kind: pretrained, path: owner/model}
"""
ROWS = b'{"text": "once upon a time"}\n'
MODEL = {"config.json": b"{}", "tokenizer.json": b"{}"}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallHub]:
    """A hub that the client of this process asks, which works in a folder with a config."""
    web = {"sample/0.jsonl": ROWS, "sample/1.jsonl": ROWS * 2, "README.md": b"about"}
    repositories = {"datasets/owner/web": web, "datasets/owner/chats": {"a.jsonl": ROWS}, "models/owner/model": MODEL}
    (tmp_path / "mine.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(attempts, "WAITS", (0.0, 0.0))
    with serving(SmallHub(repositories, licence="odc-by")) as served:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(listings, "HfApi", lambda: HfApi(endpoint=served.address))
        yield served


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert result.exception is None or isinstance(result.exception, SystemExit | ConfigError), result.exception
    return result


def revision_of(source: str, config: str = "mine.yaml") -> str | None:
    settings = load_experiment(Path(config)).sources[source]
    assert isinstance(settings, RowFiles)
    return settings.revision


def lock() -> list[dict]:
    return yaml.safe_load(Path("mine.lock").read_text())["hub"]


def test_what_is_not_pinned_is_said_and_pinned(hub: SmallHub) -> None:
    fault = not_pinned(load_experiment(Path("mine.yaml")), "mine.yaml")
    assert fault is not None and "dataset owner/web, dataset owner/chats@v1.0, model owner/model@main" in fault
    assert "run `unix-lib fetch mine.yaml --pin`" in fault
    assert fault[:30] in run("plan", "mine.yaml").output
    unpinned = run("fetch", "mine.yaml")
    assert unpinned.exit_code == 1 and unpinned.output.count("run `unix-lib fetch mine.yaml --pin` first") == 3

    pinned = run("fetch", "mine.yaml", "--pin")
    assert pinned.exit_code == 0, pinned.output
    assert f"source web: owner/web at {COMMIT}: odc-by, 0 MB, 2 files" in pinned.output
    experiment = load_experiment(Path("mine.yaml"))
    assert not_pinned(experiment) is None and revision_of("web") == revision_of("chats") == COMMIT
    of_web = next(entry for entry in lock() if entry["repository"] == "owner/web")
    assert of_web["files"] == {"sample/0.jsonl": len(ROWS), "sample/1.jsonl": 2 * len(ROWS)}
    assert of_web["bytes"] == 3 * len(ROWS) and of_web["licence"] == "odc-by" and of_web["asked"] is None
    # Doctor knows licence and size of what is not there yet.
    assert "owner/web (odc-by, 0 MB)" in run("doctor", "mine.yaml").output
    assert "Jobs will be refused" not in run("plan", "mine.yaml").output


def test_a_commit_stays_until_its_entry_is_taken_out(hub: SmallHub) -> None:
    run("fetch", "mine.yaml", "--pin")
    before = Path("mine.lock").read_text()
    Path("mine.lock").write_text(re.sub(r"pinned: \S+", "pinned: 2020-01-01", before))
    run("fetch", "mine.yaml", "--pin")
    assert {str(entry["pinned"]) for entry in lock()} == {"2020-01-01"}  # nothing new, nothing changed in git
    hub.commit = LATER
    lost = run("fetch", "mine.yaml", "--pin")  # commits that the hub has no more
    assert lost.exit_code == 1 and "or take it out of the lock" in lost.output and revision_of("web") == COMMIT
    kept = [entry for entry in lock() if entry["repository"] != "owner/web"]
    Path("mine.lock").write_text(yaml.safe_dump({"hub": kept}))
    assert run("fetch", "mine.yaml", "--pin").exit_code == 1
    assert revision_of("web") == LATER and revision_of("chats") == COMMIT


def test_a_lock_older_than_the_config_does_not_count(hub: SmallHub) -> None:
    for change in (("sample/*", "sample/1*"), ("v1.0", "v2.0")):
        Path("mine.yaml").write_text(CONFIG)
        run("fetch", "mine.yaml", "--pin")
        Path("mine.yaml").write_text(CONFIG.replace(*change))
        fault = not_pinned(load_experiment(Path("mine.yaml")))
        assert fault is not None and fault.count("owner/") == 1
        assert run("fetch", "mine.yaml", "--pin").exit_code == 0
        assert not_pinned(load_experiment(Path("mine.yaml"))) is None
    assert len(lock()) == 3


def test_an_edited_entry_is_refused_and_pinned_anew(hub: SmallHub) -> None:
    run("fetch", "mine.yaml", "--pin")
    whole = Path("mine.lock").read_text()
    for edited in (whole.replace(COMMIT, LATER, 1), whole.replace("odc-by", "mit", 1), whole.replace("bytes: ", "b: ")):
        assert edited != whole
        Path("mine.lock").write_text(edited)
        with pytest.raises(ConfigError, match=r"mine\.lock: entry 1 \(owner/chats\) was edited .*mine\.yaml --pin"):
            load_experiment(Path("mine.yaml"))
        assert run("fetch", "mine.yaml", "--pin").exit_code == 0
        assert Path("mine.lock").read_text() == whole
    Path("mine.lock").write_text(f"<<<<<<< HEAD\n{whole}")
    with pytest.raises(ConfigError, match="merged badly; mend or delete it"):
        load_experiment(Path("mine.yaml"))
    Path("mine.yaml").write_text(CONFIG.replace("owner/model", "owner/model, revision: " + LATER))  # an own choice
    Path("mine.lock").unlink()
    assert "owner/model" not in str(not_pinned(load_experiment(Path("mine.yaml"))))


def test_one_that_fails_stops_no_other(hub: SmallHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listings, "TIMEOUT_SECONDS", 0.2)
    hub.silent["datasets/owner/web"] = 2  # and answers the third time
    del hub.repositories["datasets/owner/chats"]
    hub.gated.add("models/owner/model")
    hub.licence = None
    pinned = run("fetch", "mine.yaml", "--pin")
    assert pinned.exit_code == 1
    assert re.search(r"failed source chats: owner/chats: dataset owner/chats@v1\.0: .*404", pinned.output)
    assert hub.asked["datasets/owner/web"] == 3 and hub.asked["datasets/owner/chats"] == 1  # 404 is an answer
    assert "licence unknown, 0 MB, gated" in pinned.output
    assert [entry["repository"] for entry in lock()] == ["owner/web", "owner/model"]
    assert lock()[1]["gated"] and lock()[1]["licence"] is None
    hub.silent["datasets/owner/web"] = 3
    assert "run fetch where the hub is reachable" in run("fetch", "mine.yaml", "--pin").output
    assert revision_of("web") == COMMIT  # as it was pinned before


def test_files_of_a_gated_repository_say_how_to_get_access(hub: SmallHub, tmp_path: Path) -> None:
    hub.gated.add("models/owner/model")
    client = HfApi(endpoint=hub.address)
    with pytest.raises(attempts.FetchError, match=r"its owner gives access .*ask on its page, then `hf auth login`"):
        attempts.asked(lambda: client.hf_hub_download("owner/model", "config.json", cache_dir=tmp_path))


def test_what_is_streamed_is_known_by_the_lock_and_not_fetched(hub: SmallHub) -> None:
    source = f"{{kind: text, repository: owner/web, revision: {COMMIT}, streaming: true, files: ['sample/*.jsonl']}}"
    Path("mine.yaml").write_text(f"experiment: mine\nsources: {{web: {source}}}\n")
    assert "dataset owner/web" in str(not_pinned(load_experiment(Path("mine.yaml"))))  # its files are not known
    run("fetch", "mine.yaml", "--pin")
    web = load_experiment(Path("mine.yaml")).sources["web"]
    assert isinstance(web, RowFiles) and not_pinned(web) is None
    assert web.listed == {"sample/0.jsonl": len(ROWS), "sample/1.jsonl": 2 * len(ROWS)}
    fetched = run("fetch", "mine.yaml")
    assert fetched.exit_code == 0 and "source web: owner/web (odc-by) is streamed by the jobs" in fetched.output
    both = f"{source}, copy: {source.replace('streaming: true', 'streaming: false')}"
    Path("mine.yaml").write_text(f"experiment: mine\nsources: {{web: {both}}}\n")
    (need,) = needs_of(load_experiment(Path("mine.yaml")))
    assert need.what == "source copy: owner/web" and not need.streamed  # the other one does with what that fetches


def test_a_plan_knows_the_files_before_they_are_here(hub: SmallHub, tmp_path: Path) -> None:
    """By the lock: so what is fetched in part is not taken for all there is."""
    run("fetch", "mine.yaml", "--pin")
    before = resolve(load_experiment(Path("mine.yaml")), tmp_path)
    (records,) = before.records("web")
    settings = before.jobs[records].settings
    assert isinstance(settings, PlannedRows) and settings.identity is not None and settings.listed is None
    assert settings.identity.count == 2 and settings.identity.bytes == 3 * len(ROWS)
    for name, content in hub.repositories["datasets/owner/web"].items():
        with pytest.raises(UserError, match=r"of owner/web are not all here; `unix-lib fetch` brings them"):
            require_unchanged(records, settings, Outside(tmp_path, FileHashes(None)))
        path = hub_snapshot("owner/web", COMMIT) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        if name == "sample/1.jsonl":
            break
    require_unchanged(records, settings, Outside(tmp_path, FileHashes(None)))
    assert list(resolve(load_experiment(Path("mine.yaml")), tmp_path).jobs) == list(before.jobs)


def test_patterns_that_name_no_file_are_not_pinned(hub: SmallHub) -> None:
    Path("mine.yaml").write_text(CONFIG.replace("sample/*.jsonl", "smaple/*.jsonl"))
    pinned = run("fetch", "mine.yaml", "--pin")
    assert "none of its 3 files is named by smaple/*.jsonl" in pinned.output and revision_of("web") is None


def test_a_config_takes_over_the_locks_of_those_that_it_extends(hub: SmallHub) -> None:
    run("fetch", "mine.yaml", "--pin")
    more = "sources: {more: {kind: text, repository: owner/web, files: ['sample/1.jsonl']}}"
    Path("own.yaml").write_text(f"extends: mine.yaml\nexperiment: own\n{more}\n")
    assert revision_of("web", "own.yaml") == COMMIT and revision_of("more", "own.yaml") is None
    hub.commit = LATER
    assert "take it out" in run("fetch", "own.yaml", "--pin").output  # one repository, one commit
    hub.commit = COMMIT
    assert run("fetch", "own.yaml", "--pin").exit_code == 0
    (entry,) = yaml.safe_load(Path("own.lock").read_text())["hub"]
    assert entry["patterns"] == ["sample/1.jsonl"] and revision_of("more", "own.yaml") == COMMIT
