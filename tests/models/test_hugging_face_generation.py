"""`generate()` with Hugging Face's cache: every way of using it gives what recomputing the whole sequence gives."""

import numpy as np
import pytest
import torch
from transformers import DynamicCache

from tests.evaluate.conftest import SmallExperiment, small  # noqa: F401  a fixture
from tests.models.small import PLANS, VOCABULARY, image, small_model, text
from unix_lib.inference.batches import generate_text
from unix_lib.inference.engine import Engine
from unix_lib.inference.requests import TextSampling
from unix_lib.models import ModelError
from unix_lib.models.checkpoint import load_model
from unix_lib.tokenizers.text import load_text_tokenizer

PAD = VOCABULARY.pad_id
UNUSED = list(range(VOCABULARY.text_size, VOCABULARY.image_offset))


def padded(documents: list[list[int]], *, left: bool = True) -> dict[str, torch.Tensor]:
    """Ids and mask, (B, T)."""
    longest = max(len(document) for document in documents)
    ids, mask = torch.full((2, len(documents), longest), PAD)
    mask.zero_()
    for row, document in enumerate(documents):
        place = slice(longest - len(document), None) if left else slice(0, len(document))
        ids[row, place] = torch.tensor(document)
        mask[row, place] = 1
    return {"input_ids": ids, "attention_mask": mask}


def prompts() -> list[list[int]]:
    random = np.random.default_rng(3)
    return [
        text(random, 2),
        text(random, 9),
        image(random) + text(random, 3),
        text(random, 2) + image(random) + text(random, 1) + image(random),
        [*text(random, 5), VOCABULARY.vision_start_id],
    ]


@pytest.mark.parametrize("left", [True, False])
@pytest.mark.parametrize("plan", list(PLANS))
def test_any_split_into_calls_gives_the_logits_of_one_call(plan: str, left: bool) -> None:
    """Image codes and text mixed, also within one step, rows padded on either side."""
    model, random = small_model(PLANS[plan]), np.random.default_rng(4)
    documents = [document + image(random) + text(random, length) for length, document in enumerate(prompts())]
    batch = padded(documents, left=left)
    real = batch["attention_mask"].bool()
    with torch.no_grad():
        expected = model(**batch).logits
        for steps in (1, 4, 100):
            cache, parts = DynamicCache(config=model.config), []
            for ids in batch["input_ids"].split(steps, dim=1):
                seen = batch["attention_mask"][:, : cache.get_seq_length() + ids.shape[1]]
                parts.append(model(ids, attention_mask=seen, past_key_values=cache, use_cache=True).logits)
            torch.testing.assert_close(torch.cat(parts, dim=1)[real], expected[real], rtol=0, atol=1e-5)
        last = model(**batch, use_cache=True, logits_to_keep=1).logits
        torch.testing.assert_close(last[:, 0][real[:, -1]], expected[:, -1][real[:, -1]], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        {"do_sample": False},
        {"do_sample": False, "num_beams": 3},
        {"do_sample": True, "temperature": 1.3, "top_p": 0.9},
        {"do_sample": True, "num_return_sequences": 2},
        {"do_sample": False, "guidance_scale": 2.0},
        {"do_sample": False, "repetition_penalty": 1.5},
    ],
    ids=["greedy", "beams", "sampled", "several", "guided", "penalty"],
)
@pytest.mark.parametrize("plan", ["shared", "unix 1:3", "mot", "moe 1/2", "custom"])
def test_generate_with_a_cache_equals_generate_without(plan: str, settings: dict) -> None:
    """Image codes may be picked, so that rows of one step differ in modality; rows that name no token may not."""
    model, batch = small_model(PLANS[plan]), padded(prompts())
    generated = []
    for use_cache in (True, False):
        torch.manual_seed(0)
        common = {"max_new_tokens": 8, "pad_token_id": PAD, "eos_token_id": 1, "suppress_tokens": UNUSED}
        with torch.no_grad():
            generated.append(model.generate(**batch, **common, **settings, use_cache=use_cache))
    assert torch.equal(*generated)
    assert generated[0].shape[1] > batch["input_ids"].shape[1] + 2


def test_a_cache_is_what_generate_takes_by_default() -> None:
    model = small_model(PLANS["unix 1:1"])
    output = model.generate(**padded(prompts()), max_new_tokens=2, return_dict_in_generate=True)
    assert output.past_key_values.get_seq_length() == output.sequences.shape[1] - 1


def test_what_does_not_fit_the_cache_is_refused() -> None:
    model, ids = small_model(PLANS["shared"]), torch.tensor([[5, 6, 7]])
    with pytest.raises(ModelError, match=r"attention_mask is \(1, 2\), cached and new tokens are \(1, 3\)"):
        model(ids, attention_mask=torch.ones(1, 2), use_cache=True)
    with pytest.raises(ModelError, match="a cache of fixed size"):
        model.generate(ids, max_new_tokens=2, cache_implementation="static")
    with pytest.raises(ModelError, match="labels and a cache"):
        model(ids, labels=ids, use_cache=True)


def test_lm_eval_generates_what_the_library_does(small: SmallExperiment) -> None:  # noqa: F811
    """HFLM as it is: prompts of several lengths, padded on the left, with a cache."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    folder = small.results / small.checkpoint / "model"
    model, tokenizer = load_model(folder).eval(), load_text_tokenizer(folder)
    with torch.no_grad():  # text is more probable than anything that is not
        model.lm_head.weight[small.vocabulary.text_size :].zero_()
        model.lm_head.weight[small.vocabulary.vision_start_id].zero_()
    contexts = ["the value of", "a function is called when", "of"]
    requests = [
        Instance("generate_until", {}, (context, {"until": ["no such text"], "max_gen_toks": 6}), index)
        for index, context in enumerate(contexts)
    ]
    answers = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=3).generate_until(requests, disable_tqdm=True)
    prompts = [tokenizer(context, add_special_tokens=False)["input_ids"] for context in contexts]
    eos = small.vocabulary.eos_id
    expected = generate_text(Engine(model), prompts, TextSampling(most_tokens=6), stop_ids=[eos])
    assert answers == [tokenizer.decode(ids, skip_special_tokens=True) for ids in expected]
    assert any(answers)
