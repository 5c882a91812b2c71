"""The tables in which a checkpoint's answers are kept: generation writes them, scoring reads nothing else of it."""

import pyarrow as pa

ANSWERS_FILE, IMAGES_FILE, LIKELIHOODS_FILE = "answers.parquet", "images.parquet", "likelihoods.parquet"

ANSWERS = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),  # the question's index
        pa.field("prompt", pa.string(), nullable=False),  # as shown
        pa.field("text", pa.string(), nullable=False),  # the model's words
        pa.field("rejected", pa.string()),  # why the image is set aside; null otherwise
        pa.field("detail", pa.string()),
    ]
)
IMAGES = pa.schema(
    [
        pa.field("prompt_index", pa.int64(), nullable=False),
        pa.field("sample_index", pa.int64(), nullable=False),
        pa.field("prompt", pa.string(), nullable=False),
        pa.field("seed", pa.uint64(), nullable=False),
        pa.field("image", pa.binary(), nullable=False),  # PNG
    ]
)
RANKINGS_FILE = "rankings.parquet"
RANKINGS = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("caption", pa.string(), nullable=False),  # one of the sample's candidates
        pa.field("own", pa.bool_(), nullable=False),  # whether it is the image's own
        pa.field("log_likelihood", pa.float64(), nullable=False),  # nats, of the caption and its end
        pa.field("tokens", pa.int64(), nullable=False),  # of both
    ]
)
LIKELIHOODS = pa.schema(
    [
        pa.field("context", pa.string(), nullable=False),
        pa.field("continuation", pa.string(), nullable=False),
        pa.field("log_likelihood", pa.float64(), nullable=False),  # nats, of the whole continuation
        pa.field("is_greedy", pa.bool_(), nullable=False),  # whether greedy decoding gives it
    ]
)
