"""Ranges of the vocabulary, and what is refused."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from unix_lib.config.tokenizers import VocabularySettings
from unix_lib.tokenizers.vocabulary import Vocabulary, VocabularyError, build_vocabulary

SETTINGS = VocabularySettings(codebook_size=16, codes_per_image=4, multiple=64, padded_text_vocabulary=None)
TEXT_IDS = {f"token{i}": i for i in range(97)} | {"<|endoftext|>": 97, "<|vision_start|>": 98, "<|vision_end|>": 99}


@pytest.fixture
def vocabulary() -> Vocabulary:
    return build_vocabulary(TEXT_IDS, SETTINGS)


def test_codes_follow_the_padded_text_vocabulary(vocabulary: Vocabulary) -> None:
    assert vocabulary.as_dict() == {
        "text_size": 100,
        "padded_text_size": 128,
        "image_offset": 128,
        "codebook_size": 16,
        "codes_per_image": 4,
        "size": 144,
        "eos_id": 97,
        "pad_id": 97,
        "vision_start_id": 98,
        "vision_end_id": 99,
    }


@pytest.mark.parametrize(("multiple", "padded"), [(1, 100), (50, 100), (64, 128), (1000, 1000)])
def test_padding_to_a_multiple(multiple: int, padded: int) -> None:
    assert build_vocabulary(TEXT_IDS, SETTINGS.model_copy(update={"multiple": multiple})).image_offset == padded


def test_qwen_sizes() -> None:
    """Qwen2.5: 151,665 ids in an embedding of 151,936 rows, Chameleon's 8,192 codes behind them."""
    ids = {"<|endoftext|>": 151_643, "<|vision_start|>": 151_652, "<|vision_end|>": 151_653, "</tool_call>": 151_664}
    vocabulary = build_vocabulary(
        ids,
        VocabularySettings(codebook_size=8192, codes_per_image=1024, multiple=64, padded_text_vocabulary=151_936),
    )
    assert (vocabulary.text_size, vocabulary.image_offset, vocabulary.size) == (151_665, 151_936, 160_128)


def test_padding_smaller_than_the_tokenizer_is_refused() -> None:
    with pytest.raises(VocabularyError, match=r"padded_text_vocabulary 99 is smaller than the text tokenizer's 100"):
        build_vocabulary(TEXT_IDS, SETTINGS.model_copy(update={"padded_text_vocabulary": 99}))


@pytest.mark.parametrize("token", ["<|endoftext|>", "<|vision_start|>", "<|vision_end|>"])
def test_a_tokenizer_without_a_special_token_is_refused(token: str) -> None:
    ids = {name: place for name, place in TEXT_IDS.items() if name != token}
    with pytest.raises(VocabularyError, match=f"lacks {token}".replace("|", r"\|")):
        build_vocabulary(ids, SETTINGS)


def test_codes_follow_the_padded_text_ids(vocabulary: Vocabulary) -> None:
    codes = np.arange(16, dtype=np.uint16).reshape(4, 4)
    ids = vocabulary.image_ids(codes)
    assert ids.dtype == np.int32
    assert ids.tolist() == (codes.astype(int) + 128).tolist()


@pytest.mark.parametrize("code", [-1, 16, 65_535])
def test_codes_outside_the_codebook_are_refused(vocabulary: Vocabulary, code: int) -> None:
    with pytest.raises(VocabularyError, match=rf"image code {code} is outside 0\.\.15"):
        vocabulary.image_ids(np.array([0, code]))


def test_vision_tokens_are_codes_and_vision_start(vocabulary: Vocabulary) -> None:
    ids = np.array([0, 97, 98, 99, 128, 143], dtype=np.int32)
    assert vocabulary.is_vision(ids).tolist() == [False, False, True, False, True, True]
    assert vocabulary.is_image(ids).tolist() == [False, False, False, False, True, True]


def test_separators_follow_every_so_many_codes(tmp_path: Path) -> None:
    separated = SETTINGS.model_copy(update={"image_separator_every": 2})
    with pytest.raises(VocabularyError, match=r"lacks <\|vision_pad\|>"):
        build_vocabulary(TEXT_IDS, separated)
    vocabulary = build_vocabulary(TEXT_IDS | {"<|vision_pad|>": 100}, separated)
    tokens = vocabulary.image_tokens(np.array([3, 0, 15, 7], dtype=np.uint16))
    assert tokens.dtype == np.int32
    assert tokens.tolist() == [131, 128, 100, 143, 135, 100]
    assert vocabulary.image_tokens(np.zeros(0, dtype=np.uint16)).tolist() == []
    assert vocabulary.image_length == 6
    assert vocabulary.is_vision(tokens).all() and vocabulary.is_image(tokens).sum() == 4
    vocabulary.write(tmp_path)
    assert Vocabulary.read(tmp_path) == vocabulary


@pytest.mark.parametrize("token", [-1, 100, 127, 144])
def test_check_names_ids_between_the_ranges(vocabulary: Vocabulary, token: int) -> None:
    vocabulary.check(np.array([0, 99, 128, 143]))
    with pytest.raises(VocabularyError, match=rf"id {token} names no token: text ids are 0\.\.99, image codes 128"):
        vocabulary.check(np.array([[0, 128], [token, 143]]))


def test_written_and_read(vocabulary: Vocabulary, tmp_path: Path) -> None:
    path = vocabulary.write(tmp_path)
    assert Vocabulary.read(path) == Vocabulary.read(tmp_path) == vocabulary


def test_missing_and_damaged_files_are_named(vocabulary: Vocabulary, tmp_path: Path) -> None:
    with pytest.raises(VocabularyError, match=r"vocabulary\.json: no vocabulary here"):
        Vocabulary.read(tmp_path)
    path = vocabulary.write(tmp_path)
    path.write_text(path.read_text()[:-20])
    with pytest.raises(VocabularyError, match=r"vocabulary\.json: unreadable vocabulary"):
        Vocabulary.read(tmp_path)
    path.write_text(json.dumps({"text_size": 3}))
    with pytest.raises(VocabularyError, match=r"vocabulary\.json: unreadable vocabulary"):
        Vocabulary.read(tmp_path)


def test_contradicting_ranges_are_refused(vocabulary: Vocabulary) -> None:
    with pytest.raises(VocabularyError, match="do not follow the padded text vocabulary"):
        replace(vocabulary, image_offset=100)


def test_importing_it_imports_no_torch() -> None:
    """Nor do packing and the text tokenizer: their jobs start in a fraction of the time."""
    modules = "unix_lib.tokenizers.vocabulary, unix_lib.tokenizers.text, unix_lib.pack.make"
    check = f"import {modules}, sys; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
