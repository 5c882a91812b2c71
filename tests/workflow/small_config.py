"""A small config of every stage, for tests of configs, plans and the DAG."""

import json
from typing import Any

VQGAN = {"codebook_size": 16, "image_size": 32, "embedding_width": 8, "latent_width": 8, "base_channels": 32}
RUN = {
    "plan": {"preset": "shared"},
    "start": {"kind": "run", "run": "base"},
    "mixture": "mixed",
    "optimization": {"total_steps": 30},
    "checkpoints": [0, 10, 30],
}
_CONFIG = {
    "experiment": "tiny",
    "sources": {"digits": {"kind": "digits"}, "prose": {"kind": "text"}},
    "translate": {"translations": {"prose-de": {"source": "prose", "language": "German", "model": "some-model"}}},
    "tokenizers": {
        "text": {"kind": "train_bpe", "sources": ["prose"]},
        "image": {"kind": "train_vqgan", "shape": {**VQGAN, "channel_multipliers": [1, 2, 2]}, "sources": ["digits"]},
    },
    "pack": {
        "length": 128,
        "mixtures": {
            "text": {"parts": [{"source": "prose"}]},
            "mixed": {"parts": [{"source": "digits"}, {"source": "prose"}]},
        },
    },
    "train": {
        "runs": {
            "base": {
                **RUN,
                "start": {"kind": "fresh", "shape": {"layers": 4}},
                "mixture": "text",
                "checkpoints": [30],
                "compare": False,
            },
            "shared": RUN,
            "unix": {**RUN, "plan": {"preset": "unix", "first": 1, "last": 1}},
        }
    },
    "evaluate": {
        "groups": {"all": ["cloze"]},
        "benchmarks": {"cloze": {"scorer": "lm_eval", "source": "prose", "chance": 0.25}},
    },
    "analyze": {"conflict": {"mixture": "mixed"}, "entropy": {"sources": ["prose", "digits"]}},
    "figures": {"names": ["conditional_entropy", "scores_over_tokens"]},
    "report": {"title": "Tiny", "scale": "fake"},
}
# Through JSON, so that two runs share no dictionary and a test may change one of them.
CONFIG: dict[str, Any] = json.loads(json.dumps(_CONFIG))
