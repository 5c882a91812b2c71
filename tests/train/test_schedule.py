"""The schedule against transformers' own."""

import math

import pytest
import torch
from transformers import get_scheduler

from unix_lib.config.train import Optimization
from unix_lib.train.schedule import learning_rate_factor

NAMES = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}


@pytest.mark.parametrize("schedule", NAMES)
@pytest.mark.parametrize(("total", "ratio"), [(40, 0.1), (33, 0.25), (7, 0.0), (1, 0.5)])
def test_values_are_those_of_transformers(schedule: str, total: int, ratio: float) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = get_scheduler(
        NAMES[schedule], optimizer, num_warmup_steps=math.ceil(total * ratio), num_training_steps=total
    )
    optimization = Optimization(total_steps=total, warmup_ratio=ratio, schedule=schedule)
    for step in range(total):
        ours = learning_rate_factor(step, optimization)
        assert ours == pytest.approx(theirs.get_last_lr()[0], abs=1e-12)
        optimizer.step()
        theirs.step()
