"""`unix-lib lm-eval`: lm-eval's own command line reads a checkpoint with separate layers from its folder."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import requests
from huggingface_hub import constants

from tests.evaluate.conftest import DECODER, SmallExperiment, small  # noqa: F401  a fixture
from unix_lib.benchmarks.errors import BenchmarkError
from unix_lib.commands import lm_eval as command
from unix_lib.config.models import UnixPlan
from unix_lib.generate.log_probabilities import sequence_log_probabilities
from unix_lib.inference.batches import generate_text
from unix_lib.inference.engine import Engine
from unix_lib.inference.requests import TextSampling
from unix_lib.models.start import fresh_model
from unix_lib.tokenizers.text import encode_texts, load_text_tokenizer

ROWS = [
    {"query": "the value of", "choices": ["a function", "name", "returned by"], "gold": 0},
    {"query": "called when", "choices": ["the object", "if", "and"], "gold": 1},
]
TASK = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
doc_to_text: "{{{{query}}}}"
metadata: {{version: 0}}
"""
CHOICE = """
output_type: multiple_choice
doc_to_choice: "{{choices}}"
doc_to_target: "{{gold}}"
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
"""
GENERATED = """
output_type: generate_until
doc_to_target: "{{choices[0]}}"
generation_kwargs: {until: ["no such text"], max_gen_toks: 4, do_sample: false}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
"""


def test_choices_and_generated_text_are_the_librarys(small: SmallExperiment, tmp_path: Path) -> None:  # noqa: F811
    folder = tmp_path / "model"
    model = fresh_model(DECODER, UnixPlan(preset="unix", first=1, last=0), small.vocabulary, 3).eval()
    model.save_pretrained(folder)
    tokenizer = load_text_tokenizer(small.results / small.text_tokenizer)
    tokenizer.save_pretrained(folder)
    data = tmp_path / "rows.jsonl"
    data.write_text("\n".join(json.dumps(row) for row in ROWS))
    for name, kind in (("tiny_choice", CHOICE), ("tiny_generated", GENERATED)):
        (tmp_path / f"{name}.yaml").write_text(TASK.format(name=name, data=data) + kind)

    arguments = ["--model", "hf", "--model_args", f"pretrained={folder}", "--device", "cpu", "--batch_size", "2"]
    arguments += ["--tasks", "tiny_choice,tiny_generated", "--include_path", str(tmp_path)]
    arguments += ["--output_path", str(tmp_path / "out"), "--log_samples"]
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")}
    finished = subprocess.run(
        [sys.executable, "-m", "unix_lib", "lm-eval", "run", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | offline,
    )
    assert finished.returncode == 0, finished.stderr[-2000:]

    choices = _samples(tmp_path / "out", "tiny_choice")
    for row, sample in zip(ROWS, choices, strict=True):
        prompt = encode_texts(tokenizer, [row["query"]])[0]
        continuations = [encode_texts(tokenizer, [f"{row['query']} {choice}"])[0] for choice in row["choices"]]
        wanted = sequence_log_probabilities(
            model, [prompt] * 3, [ids[len(prompt) :] for ids in continuations], batch_size=3
        )
        found = [float(response[0][0]) for response in sample["resps"]]
        np.testing.assert_allclose(found, wanted, atol=1e-4)
    generated = _samples(tmp_path / "out", "tiny_generated")
    prompts = encode_texts(tokenizer, [row["query"] for row in ROWS])
    sampling, stops = TextSampling(most_tokens=4), [small.vocabulary.eos_id]
    answers = generate_text(Engine(model), prompts, sampling, stop_ids=stops)
    assert [sample["resps"][0][0] for sample in generated] == [
        tokenizer.decode(ids, skip_special_tokens=True) for ids in answers
    ]


def test_a_data_set_that_is_missing_offline_names_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    def cli_evaluate() -> None:
        assert constants.HF_HUB_OFFLINE
        raise ConnectionError("Couldn't reach 'allenai/ai2_arc' on the Hub")

    monkeypatch.setattr("lm_eval.__main__.cli_evaluate", cli_evaluate)
    monkeypatch.setattr("sys.argv", [])
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("requests.head", unreachable)
    with pytest.raises(BenchmarkError, match=r"lm-eval: a task: .*ai2_arc.*; `unix-lib fetch <config>` gets it"):
        command.run(["run"])


def unreachable(*_: object, **__: object) -> None:
    raise requests.ConnectionError


def _samples(folder: Path, task: str) -> list[dict]:
    [path] = folder.rglob(f"samples_{task}_*.jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return sorted(rows, key=lambda row: row["doc_id"])
