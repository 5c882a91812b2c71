"""What a sample says of its tokens: do the vocabularies fit, do answers carry loss, is anything too long?"""

from collections.abc import Iterator

import numpy as np

from unix_lib.artefacts.errors import UserError
from unix_lib.config.models import PretrainedStart
from unix_lib.config.pack import MixturePart
from unix_lib.look.findings import Finding, by_reason, level_of
from unix_lib.look.rehearsal import Rehearsal
from unix_lib.look.shown import in_words
from unix_lib.models.pretrained import pretrained_config, require_ids
from unix_lib.pack.make import TOO_LONG
from unix_lib.pack.reader import HELDOUT_FILE, Document, PackReader, epoch_file
from unix_lib.tokenizers.text import load_text_tokenizer
from unix_lib.tokenizers.vocabulary import Vocabulary

FEW_TRAINED = 0.02  # ASSUME: a smaller share of trained tokens is a mistake in the data


def of_tokenizers(rehearsal: Rehearsal) -> Iterator[Finding]:
    """What is not trained yet, and whether text ids, image codes and the models that are started from fit together."""
    experiment, where = rehearsal.experiment, "tokenizers"
    text = experiment.tokenizers.text
    if text is None:
        return
    provisional = bool(text.trained_on()) and rehearsal.made_before("text") is None
    if provisional:
        what = "the text tokenizer is still to be trained; below, tokens are those of one that learned from the sample"
        yield Finding("open", "tokenizers.text", what)
    if rehearsal.image_tokenizer is None and experiment.tokenizers.image is not None:
        fault = rehearsal.image_fault
        what = fault or "how images come back from their codes, until the image tokenizer is trained"
        yield Finding("wrong" if fault else "open", "tokenizers.image", what)
    if experiment.tokenizers.image is None:
        return
    try:
        vocabulary = Vocabulary.read(rehearsal.results / rehearsal.vocabulary)
    except UserError as error:
        yield Finding("wrong", where, str(error))
        return
    yield Finding("ok", where, told_of(vocabulary))
    for name, run in experiment.runs.items():
        if isinstance(run.start, PretrainedStart) and not provisional:
            try:
                path, revision = run.start.path, run.start.revision
                require_ids(path, revision, pretrained_config(path, revision), vocabulary)
            except UserError as error:
                yield Finding("wrong", f"train.runs.{name}.start", str(error))


def of_part(rehearsal: Rehearsal, mixture: str, part: MixturePart) -> Iterator[Finding]:
    """What becomes of a source's samples in a mixture."""
    where = f"pack.mixtures.{mixture}, source {part.source}"
    if not rehearsal.source(part.source).records:
        return  # said of the source
    try:
        vocabulary = Vocabulary.read(rehearsal.results / rehearsal.vocabulary)
    except UserError:
        return  # said of the tokenizers
    try:
        artefact = rehearsal.pack(mixture, part)
    except UserError as error:
        yield Finding("wrong", where, str(error))
        return
    length = rehearsal.experiment.pack_settings(mixture).pack_length
    documents = list(documents_of(PackReader(rehearsal.results / artefact, [epoch_file(0)])))
    documents += documents_of(PackReader(rehearsal.results / artefact, [HELDOUT_FILE]))
    rejected = rehearsal.rejected([*rehearsal.tokens(mixture, part.source), artefact])
    if rejected:
        level = level_of(len(rejected), len(rejected) + len(documents))
        what = f"{len(rejected)} of {len(rejected) + len(documents)} samples would be left out: {by_reason(rejected)}"
        overlong = any(row["reason"] == TOO_LONG for row in rejected)
        remedy = f"raise pack.length {length}, or shorten or filter the source" if overlong else "mend the source"
        yield Finding(level, where, what, remedy)
    tokenizer = load_text_tokenizer(rehearsal.results / rehearsal.text_tokenizer)
    yield from of_documents(where, documents, length, vocabulary, set(tokenizer.added_tokens_decoder))


def documents_of(reader: PackReader) -> Iterator[Document]:
    """All documents of all packs."""
    return (document for index in range(len(reader)) for document in reader.documents(index))


def of_documents(
    where: str, documents: list[Document], pack_length: int, vocabulary: Vocabulary, special: set[int]
) -> Iterator[Finding]:
    """How long documents are, and what of them is trained; `special` are the ids of the text tokenizer's own marks."""
    yield Finding("ok", where, f"{', '.join(_lengths(documents))}; none is cut, a pack has {pack_length}")
    yield from _labels(where, documents, vocabulary, special)


def told_of(vocabulary: Vocabulary) -> str:
    """Its ids in words."""
    text, padded, codes = vocabulary.text_size, vocabulary.padded_text_size, vocabulary.codebook_size
    return f"{text} text ids, padded to {padded}, and {codes} image codes behind them"


def _lengths(documents: list[Document]) -> Iterator[str]:
    """How many tokens a sample has, by what it is."""
    for form in dict.fromkeys(document.form for document in documents):
        sizes = np.array([len(document.input_ids) for document in documents if document.form == form])
        yield f"{in_words(form.name)}: {np.median(sizes):.0f} tokens (median of {len(sizes)}; {sizes.max()} at most)"


def _labels(where: str, documents: list[Document], vocabulary: Vocabulary, special: set[int]) -> Iterator[Finding]:
    """Whether there is loss, and on tokens that something is to learn."""
    if not documents:
        return
    silent = sum(not document.loss_mask.any() for document in documents)
    trained = np.concatenate([document.input_ids[document.loss_mask] for document in documents])
    share = len(trained) / sum(len(document.input_ids) for document in documents)
    meant = {vocabulary.eos_id, vocabulary.vision_end_id, vocabulary.separator_id}
    placeholders = np.isin(trained, sorted(special - meant))
    outside = (trained >= vocabulary.text_size) & ~vocabulary.is_image(trained)
    if silent or share < FEW_TRAINED:
        what = f"{silent} of {len(documents)} samples carry no loss, {share:.1%} of all tokens are trained"
        yield Finding("wrong", where, what, "see that the samples have answers")
    else:
        yield Finding("ok", where, f"every sample carries loss, {share:.0%} of the tokens")
    if placeholders.any() or outside.any():
        what = f"{(placeholders | outside).sum()} labels are ids that stand for something else, first "
        what += str(trained[placeholders | outside][0])
        yield Finding("wrong", where, what, "take special tokens out of the texts")
