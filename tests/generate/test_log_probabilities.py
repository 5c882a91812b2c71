"""The reference that likelihoods are held against."""

import numpy as np
import pytest
import torch

from tests.inference.prompts import prompts_for_text
from tests.models.small import PLANS, image, logits_of, small_model, text
from unix_lib.generate.log_probabilities import sequence_log_probabilities
from unix_lib.models import ModelError


def test_scores_are_log_probabilities() -> None:
    model, random = small_model(PLANS["unix 1:1"]), np.random.default_rng(9)
    prompts = prompts_for_text() * 2
    continuations = [text(random, 1 + place % 4) for place in range(11)] + [image(random)]
    scores = sequence_log_probabilities(model, prompts, continuations, batch_size=5)
    for score, prompt, continuation in zip(scores, prompts, continuations, strict=True):
        logits = torch.log_softmax(logits_of(model, [prompt + continuation])[0].double(), -1)
        expected = sum(logits[len(prompt) - 1 + place, token] for place, token in enumerate(continuation))
        assert abs(score - float(expected)) < 1e-4
    with pytest.raises(ModelError, match="empty prompt or continuation"):
        sequence_log_probabilities(model, [[5]], [[]])
