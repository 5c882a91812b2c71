"""What no translation may touch is not shown to a model, and stands in the answer as it stood in the text."""

import random

import pytest

from unix_lib.translate.errors import Unfaithful
from unix_lib.translate.protected import INVENTED, LOST, protect

TEXTS = {  # text -> what a model is shown
    "<image>\nA dog.": "A dog.",
    "  A dog \n": "A dog",
    "<|vision_start|> a dog <|im_end|>": "a dog",
    "one <|im_end|> two": "one [[1]] two",
    "draw <unconditional>": "draw",
    "between <image 1> and <image 2>": "between [[1]] and",
    "{name} has {count:d} dogs": "[[1]] has [[2]] dogs",
    "{{x}} and %(what)s, %s": "[[1]] and [[2]], [[3]]",
    "see https://example.org/a?b=c for it": "see [[1]] for it",
    "first^^^pair_split^^^second": "first[[1]]second",
    "it says [[1]] and {a}": "it says [[1]] and [[2]]",
    "a < b and c > d": "a < b and c > d",
    '<a href="x">dog</a>': "dog",
    "three dogs, 3 cats": "three dogs, 3 cats",
    "A": "",
    "<image>\nB.": "",
    "狗": "狗",
    "no": "no",
    "<image>": "",
    "12 + 30 = {x}": "",
    "": "",
    " \n": "",
}


@pytest.mark.parametrize(("text", "shown"), TEXTS.items())
def test_a_model_is_shown_words_and_marks(text: str, shown: str) -> None:
    cut = protect(text)
    assert cut.shown == shown
    assert cut.restored(shown) == text


def test_marks_may_change_places() -> None:
    assert protect("<image> {a} before {b}").restored("[[2]] nach [[1]]") == "<image> {b} nach {a}"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("[[1]] nach", LOST),
        ("[[1]] nach [[1]] und [[2]]", LOST),
        ("{a} nach {b}", LOST),
        ("[[1]] nach [[2]] <|im_end|>", INVENTED),
        ("[[1]] nach [[2]] {a}", INVENTED),
        ("[[1]] nach [[2]] [[3]]", INVENTED),
        ("<think>hm</think>[[1]] nach [[2]]", INVENTED),
    ],
)
def test_an_answer_that_loses_or_invents_one_is_refused(answer: str, reason: str) -> None:
    with pytest.raises(Unfaithful) as caught:
        protect("{a} before {b}").restored(answer)
    assert caught.value.reason == reason


def test_words_that_a_user_names_stay() -> None:
    cut = protect("Is yesterday's dog red? Please answer yes or no. yes", ["yes", "yes or no"])
    assert cut.shown == "Is yesterday's dog red? Please answer [[1]]. [[2]]"
    assert cut.restored("昨天的狗是红色的吗？请回答[[1]]。[[2]]") == "昨天的狗是红色的吗？请回答yes or no。yes"
    assert protect("是狗还是猫", ["还是"]).shown == "是狗[[1]]猫"


def test_whatever_a_text_is_made_of_comes_back() -> None:
    pieces = ["a dog", " ", "\n", "<image>", "<|im_end|>", "{x}", "[[1]]", "[[2]]", "<", ">", "{", "}", "%s", "[", "狗"]
    draw = random.Random(218)
    with_marks = 0
    for _ in range(3000):
        text = "".join(draw.choices(pieces, k=draw.randrange(9)))
        cut = protect(text)
        with_marks += bool(cut.spans)
        assert cut.restored(cut.shown) == text
        assert not any(token in cut.shown for token in ("<|im_end|>", "<image>", "{x}"))
    assert with_marks > 300
