"""The text tokenizer: training, loading through AutoTokenizer, special tokens, refusals."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models
from transformers import AutoTokenizer, PreTrainedTokenizerFast, Qwen2Tokenizer

from tests.jobs.making import make_job
from tests.pack.experiment import Experiment, write_source
from tests.tokenizers.texts import CORPUS
from unix_lib.artefacts.errors import UserError
from unix_lib.config.jobs import Execution
from unix_lib.jobs.job import Job
from unix_lib.records.phrases import INSTRUCTIONS
from unix_lib.tokenizers.pretrained_text import PlannedPretrainedText
from unix_lib.tokenizers.text import (
    SPECIAL_TOKENS,
    TextTokenizerError,
    encode_texts,
    load_text_tokenizer,
    train_byte_level_bpe,
    training_texts,
)
from unix_lib.tokenizers.train_bpe import BPETraining

HARD = [*CORPUS[:2], "", " ", "\n\n\t x", "e\u0301 is é", "I'LL  won't 007 \r\n", "\u0000\x7f", "日本語 العربية"]


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    return Experiment(tmp_path_factory.mktemp("tokenizers") / "results" / "tiny", images=12, texts=8)


@pytest.fixture(scope="module")
def folder(experiment: Experiment) -> Path:
    return experiment.results / experiment.text_tokenizer / "tokenizer"


def test_auto_tokenizer_loads_it_as_a_fast_tokenizer(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.is_fast
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|endoftext|>", "<|endoftext|>")
    assert tokenizer.eos_token_id == len(tokenizer) - len(SPECIAL_TOKENS)


@pytest.mark.parametrize("text", HARD)
def test_any_text_comes_back(folder: Path, text: str) -> None:
    """Byte-level: no text is out of vocabulary. Composed and decomposed letters are one, as in Qwen."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids) == text.replace("e\u0301", "é")
    assert encode_texts(load_text_tokenizer(folder.parent), [text]) == [ids]


def test_special_tokens_stand_behind_in_qwens_order(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    first = len(tokenizer) - len(SPECIAL_TOKENS)
    assert [tokenizer.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS] == list(range(first, len(tokenizer)))
    offsets = {token: place for place, token in enumerate(SPECIAL_TOKENS)}
    # Qwen2.5: <|endoftext|> 151643, <|im_end|> 151645, <|vision_start|> 151652, <|video_pad|> 151656.
    assert [offsets[t] for t in ("<|endoftext|>", "<|im_end|>", "<|vision_start|>", "<|video_pad|>")] == [0, 2, 9, 13]
    assert tokenizer.encode("a<|vision_start|>b").count(first + 9) == 1


def test_special_tokens_spelled_out_in_a_text_stay_text(folder: Path) -> None:
    tokenizer = load_text_tokenizer(folder)
    text = "one <|endoftext|> two <|vision_start|>"
    [ids] = encode_texts(tokenizer, [text])
    assert max(ids) < len(tokenizer) - len(SPECIAL_TOKENS)
    assert tokenizer.decode(ids) == text
    assert max(tokenizer.encode(text)) >= len(tokenizer) - len(SPECIAL_TOKENS)  # others see no change


def test_words_split_as_qwen_splits_them() -> None:
    """Single digits, contractions, the space before a word, line ends: from Qwen2.5's published pattern."""
    backend = train_byte_level_bpe(iter(CORPUS), 400).backend_tokenizer
    words = backend.pre_tokenizer.pre_tokenize_str("It's 2024: he'll say...\n\n  OK")
    assert [word for word, _ in words] == [
        *("It", "'s", "Ġ", "2", "0", "2", "4", ":", "Ġhe", "'ll", "Ġsay", "...ĊĊ", "Ġ", "ĠOK"),
    ]


def test_ids_are_those_of_transformers_qwen_tokenizer() -> None:
    """transformers' own Qwen2 class, given our vocabulary and merges, splits and merges every text alike."""
    ours = train_byte_level_bpe(iter(CORPUS), 420)
    model = json.loads(ours.backend_tokenizer.to_str())["model"]
    theirs = Qwen2Tokenizer(vocab=model["vocab"], merges=[tuple(merge) for merge in model["merges"]])
    for text in HARD:
        assert ours(text)["input_ids"] == theirs(text)["input_ids"]


def test_vocabulary_size_counts_all_but_special_tokens() -> None:
    assert len(train_byte_level_bpe(iter(CORPUS * 3), 300)) == 300 + len(SPECIAL_TOKENS)


def test_training_is_the_same_in_every_process(tmp_path: Path) -> None:
    """Hash seeds differ between processes; the file must not."""
    script = (
        "import sys; from unix_lib.tokenizers.text import train_byte_level_bpe as train; "
        "from tests.tokenizers.texts import CORPUS; train(iter(CORPUS), 420).save_pretrained(sys.argv[1])"
    )
    hashes = []
    for seed in ("1", "2"):
        subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / seed)],
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        hashes.append({p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in (tmp_path / seed).iterdir()})
    assert hashes[0] == hashes[1]


def test_it_learns_from_documents_captions_turns_and_phrases(experiment: Experiment) -> None:
    folders = [experiment.results / source.records for source in (experiment.scenes, experiment.prose)]
    texts = set(training_texts(folders))
    assert experiment.scenes_train[0]["text"] in texts
    assert experiment.prose_train[0]["text"] in texts
    assert {"Is there a dog?\n", "<unconditional>", "The caption of this image is:"} <= texts
    assert {f" {instruction}" for instruction in INSTRUCTIONS} <= texts
    assert not any("9000" in text for text in texts)  # held-out records carry this number


def test_an_image_without_a_caption_is_told_nothing_of(experiment: Experiment, tmp_path: Path) -> None:
    """Packing puts one phrase before it; images alone are nothing to learn words from."""
    bare = [record | {"text": None} for record in experiment.scenes_train[:3] if record["kind"] == "image_text"]
    source = write_source(tmp_path, "bare", bare, [])
    assert bare and list(training_texts([tmp_path / source.records])) == ["<unconditional>"] * len(bare)
    job = make_job(
        tmp_path,
        "tokenizers",
        "text",
        "text/train_bpe",
        BPETraining(vocabulary_size=300),
        {"records": [source.records]},
    )
    with pytest.raises(TextTokenizerError, match="hold no text"):
        job.make()


def test_sources_without_text_are_refused(experiment: Experiment) -> None:
    with pytest.raises(TextTokenizerError, match=r"tokenizers\.text\.sources: their training splits hold no text"):
        make_job(experiment.results, "tokenizers", "text", "text/train_bpe", BPETraining(vocabulary_size=300)).make()


def pretrained_job(experiment: Experiment, path: str) -> Job[PlannedPretrainedText, Execution]:
    settings = PlannedPretrainedText(path=path, revision="a" * 40)
    return make_job(experiment.results, "tokenizers", "text", "text/pretrained", settings)


def test_a_pretrained_tokenizer_is_taken_as_it_is(experiment: Experiment, folder: Path) -> None:
    """From a local folder; only the end and padding tokens are set, as instruct models name others."""
    other = AutoTokenizer.from_pretrained(folder)
    other.eos_token = "<|im_end|>"
    path = experiment.results / "instruct"
    other.save_pretrained(path)
    job = pretrained_job(experiment, str(path))
    manifest = job.make()
    taken = load_text_tokenizer(job.folder)
    assert manifest.facts["tokens"] == len(taken) == len(other)
    assert (taken.eos_token, taken.pad_token) == ("<|endoftext|>", "<|endoftext|>")
    assert taken.get_vocab() == other.get_vocab()


def test_a_tokenizer_that_was_changed_after_the_plan_is_refused(
    experiment: Experiment, folder: Path, tmp_path: Path
) -> None:
    path = shutil.copytree(folder, tmp_path / "taken")
    job = pretrained_job(experiment, str(path))
    (path / "added_tokens.json").write_text("{}")
    with pytest.raises(UserError, match=r"^tokenizers/text-\w+: path .* changed after the plan was made; run again"):
        job.make()


def test_a_pretrained_tokenizer_without_vision_tokens_is_refused(experiment: Experiment, tmp_path: Path) -> None:
    plain = Tokenizer(models.BPE(vocab={"a": 0, "<|endoftext|>": 1}, merges=[]))
    PreTrainedTokenizerFast(tokenizer_object=plain).save_pretrained(tmp_path)
    with pytest.raises(TextTokenizerError, match=r"lacks <\|vision_start\|>; take a tokenizer with Qwen2\.5's"):
        pretrained_job(experiment, str(tmp_path)).make()


@pytest.mark.parametrize("path", ["nobody/no-such-tokenizer", "/no/such/folder"])
def test_a_tokenizer_that_was_not_fetched_says_how_to_get_it(experiment: Experiment, path: str) -> None:
    with pytest.raises(TextTokenizerError, match="run `unix-lib fetch` where there is a network") as raised:
        pretrained_job(experiment, path).make()
    assert "\n" not in str(raised.value)


def test_a_folder_without_a_tokenizer_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer").mkdir()
    with pytest.raises(TextTokenizerError, match=r"no tokenizer\.json here; run the tokenizers stage"):
        load_text_tokenizer(tmp_path)


def test_saved_files_name_no_machine(folder: Path) -> None:
    config = json.loads((folder / "tokenizer_config.json").read_text())
    assert not any(str(value).startswith("/") for value in config.values())
    assert "name_or_path" not in config
