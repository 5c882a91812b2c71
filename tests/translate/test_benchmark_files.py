"""Prompts of benchmarks in another language: read as their own are, what an image must show left as it was."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.endpoints.fake import endpoint
from tests.translate.test_files import command, german, run
from unix_lib.benchmarks.dpg import read_dpg
from unix_lib.benchmarks.geneval_prompts import read_prompts
from unix_lib.config.shipped import SHIPPED
from unix_lib.records.rejected import RejectedSamples
from unix_lib.sources.shapes.captions import Claim, Clause
from unix_lib.sources.shapes.dpg import as_csv, dpg_rows
from unix_lib.translate.benchmark_files import write_benchmark
from unix_lib.translate.translator import Outcome


def test_genevals_own_prompts_go_through_the_command(tmp_path: Path) -> None:
    file = tmp_path / "geneval.jsonl"
    file.write_bytes(b"".join(SHIPPED["geneval"].read_bytes().splitlines(keepends=True)[::50]))
    with endpoint(german) as server:
        code, _ = run(*command(tmp_path, file, "--column", "prompt", "--url", server.url))
    assert code == 0
    before, _ = read_prompts(file)
    after, rejected = read_prompts(tmp_path / "geneval-translated.jsonl")
    assert (len(before), rejected) == (12, [])
    assert after == [prompt | {"prompt": f"ein {prompt['prompt']}"} for prompt in before]


def test_dpg_benchs_prompts_are_translated_and_its_questions_are_not(tmp_path: Path) -> None:
    def translate(texts: Iterable[str]) -> Mapping[str, Outcome]:
        return {text: f"译：{text}" for text in texts}

    claims = [Claim("colors", "a photo of a red circle", (Clause("circle", color="red"),))]
    claims += [Claim("counting", "a photo of two squares", (Clause("square", 2),))]
    source, folder, rejected = tmp_path / "source", tmp_path / "zh", RejectedSamples()
    (source / "benchmarks").mkdir(parents=True)
    (source / "benchmarks" / "dpg.csv").write_text(as_csv(dpg_rows(claims, 2)))
    assert write_benchmark("dpg", source, folder, translate, rejected) == {"benchmarks/dpg.csv": 4}
    before, _ = read_dpg(source / "benchmarks" / "dpg.csv")
    after, faults = read_dpg(folder / "benchmarks" / "dpg.csv")
    assert (len(before), faults, len(rejected)) == (2, [], 0)
    assert [item.prompt for item in after] == [f"译：{item.prompt}" for item in before]
    assert [item.propositions for item in after] == [item.propositions for item in before]
