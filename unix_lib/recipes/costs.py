"""What the runs of a config cost: their decoders' sizes, and the tokens that they are trained on."""

from unix_lib.architectures.costs import DecoderCosts, decoder_costs
from unix_lib.architectures.plans import layer_plan
from unix_lib.config.experiment import Experiment

QWEN_SPECIAL_TOKENS = 22  # ids that a tokenizer may add to its vocabulary_size; the padding hides the difference


def vocabulary_rows(experiment: Experiment) -> int:
    """Rows of the embedding that a config leads to, before the tokenizer exists.

    Of a pretrained text tokenizer whose padded size is not given, only the image codes are known.
    """
    tokenizers = experiment.tokenizers
    assert tokenizers.text is not None and tokenizers.image is not None  # a run has both
    text = tokenizers.padded_text_vocabulary
    if text is None:
        trained, multiple = tokenizers.text.text_rows(), tokenizers.vocabulary_multiple
        text = 0 if trained is None else -(-(trained + QWEN_SPECIAL_TOKENS) // multiple) * multiple
    return text + tokenizers.image.shape.codebook_size


def run_costs(experiment: Experiment, run: str) -> DecoderCosts:
    """Costs of a run's decoder."""
    train, shape = experiment.train, experiment.shape_of(run)
    assert train is not None
    return decoder_costs(
        shape,
        layer_plan(train.runs[run].plan, shape.layers),
        vocabulary_rows(experiment),
        bytes_per_value=2 if train.precision == "bfloat16" else 4,
        gradient_checkpointing=train.gradient_checkpointing,
    )


def run_tokens(experiment: Experiment, run: str) -> int:
    """Tokens that a run is trained on at most: packs are not always full."""
    assert experiment.pack is not None
    settings = experiment.runs[run]
    return settings.checkpoints[-1] * settings.optimization.packs_per_step * experiment.pack.length
