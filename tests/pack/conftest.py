"""The small experiment, made once for all tests of packing, and its tokenizer and vocabulary."""

import pytest
from transformers import PreTrainedTokenizerFast

from tests.pack.experiment import Experiment
from unix_lib.tokenizers.text import load_text_tokenizer
from unix_lib.tokenizers.vocabulary import Vocabulary


@pytest.fixture(scope="session")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    return Experiment(tmp_path_factory.mktemp("packing") / "results" / "tiny")


@pytest.fixture(scope="session")
def tokenizer(experiment: Experiment) -> PreTrainedTokenizerFast:
    return load_text_tokenizer(experiment.results / experiment.text_tokenizer)


@pytest.fixture(scope="session")
def vocabulary(experiment: Experiment) -> Vocabulary:
    return Vocabulary.read(experiment.results / experiment.vocabulary)
