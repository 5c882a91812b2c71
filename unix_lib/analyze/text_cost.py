"""Tokens per character of each source's held-out texts, by script.

A tokenizer that never saw a script spells it out byte by byte: three tokens a Chinese character. Such texts fill packs,
and what is learned of them is spelling.
"""

import logging
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from unix_lib.analyze.text_cost_kind import TextCostSettings
from unix_lib.artefacts.manifest import Manifest
from unix_lib.artefacts.recipe import recipe_of
from unix_lib.config.jobs import Execution
from unix_lib.evaluate.tables import null_for_nan, write_table
from unix_lib.jobs.job import Job
from unix_lib.pack.sampled import sampled_rows, some_parts, split_looked_at
from unix_lib.records.schema import Row
from unix_lib.records.scripts import scripts_of
from unix_lib.tokenizers.text import encode_texts, load_text_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

logger = logging.getLogger(__name__)

TEXT_COST_TABLE = "text_cost.parquet"
# ASSUME: English costs 0.25 tokens a character with a good tokenizer, Chinese 0.7; beyond this it is spelled out.
COSTLY = 1.5
LONGEST = 10_000  # characters of a text that are looked at
NO_LETTER = "none"
TEXT_COST = pa.schema(
    [
        pa.field("source", pa.string()),
        pa.field("script", pa.string()),  # of most of a text's letters, as Unicode names it; none without a letter
        pa.field("split", pa.string()),  # heldout, or train where a source holds nothing out
        pa.field("texts", pa.int64()),
        pa.field("characters", pa.int64()),
        pa.field("tokens", pa.int64()),
        pa.field("tokens_per_character", pa.float64()),
        pa.field("standard_error", pa.float64()),  # over texts; null of a single one
        pa.field("learned_from", pa.bool_()),  # whether the text tokenizer saw the source; null of a pretrained one
        pa.field("costly", pa.bool_()),
    ]
)


def make_text_cost(job: Job[TextCostSettings, Execution]) -> Manifest:
    """Make `analyze/text_cost`."""
    folder = job.input("text_tokenizer")
    tokenizer, learned_from = load_text_tokenizer(folder), recipe_of(folder).in_role("records")
    rows: list[Row] = []
    for source, folders in job.roles("records").items():
        seen = bool({*job.recipe.in_role(f"records:{source}")} & {*learned_from}) if learned_from else None
        split = split_looked_at(folders)
        parts = [folders[part] for part in some_parts(len(folders))]
        records = sampled_rows(parts, split, ["sample_id", "text", "messages"], job.settings.texts)
        for row in cost_by_script(tokenizer, [text for record in records.to_pylist() if (text := _text_of(record))]):
            costly = row["tokens_per_character"] > COSTLY
            rows.append({"source": source, "split": split, "learned_from": seen, "costly": costly} | row)
            if costly and seen is False:
                logger.warning(
                    "source '%s': %.2f tokens a character of %s text; add it to tokenizers.text.sources",
                    *(source, row["tokens_per_character"], row["script"]),
                )
    return job.finish({TEXT_COST_TABLE: write_table(rows, TEXT_COST, job.folder / TEXT_COST_TABLE)})


def cost_by_script(tokenizer: "PreTrainedTokenizerFast", texts: list[str]) -> Iterator[Row]:
    """A row for each script that texts are written in, the one of most texts first."""
    scripts = np.array([script_of(text) for text in texts])
    tokens = np.array([len(ids) for ids in encode_texts(tokenizer, texts)])
    characters = np.array([len(text) for text in texts])
    for script, count in Counter(scripts.tolist()).most_common():
        own = scripts == script
        ratio = float(tokens[own].sum() / characters[own].sum())
        # Of a ratio of means: the spread of what each text is off by, over its mean length.
        off = tokens[own] - ratio * characters[own]
        error = float(off.std(ddof=1) / count**0.5 / characters[own].mean()) if count > 1 else float("nan")
        yield {
            "script": script,
            "texts": count,
            "characters": int(characters[own].sum()),
            "tokens": int(tokens[own].sum()),
            "tokens_per_character": ratio,
            "standard_error": null_for_nan(error),
        }


def script_of(text: str) -> str:
    """The script of most of a text's letters."""
    scripts = scripts_of(text)
    return scripts.most_common(1)[0][0] if scripts else NO_LETTER


def _text_of(record: Row) -> str:
    """What a record says, without the phrases that packing adds."""
    said = [record["text"], *(message["content"] for message in record["messages"] or [])]
    return "\n".join(text.strip() for text in said if text)[:LONGEST]
