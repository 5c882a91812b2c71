"""What is held out follows from a content, a share and a seed, whoever asks."""

import pytest

from unix_lib.config.sources import HeldOut


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5])
def test_the_share_is_met(share: float) -> None:
    rule = HeldOut(share=share)
    found = sum(rule.holds_out(f"content {number}") for number in range(20_000)) / 20_000
    assert abs(found - share) < 4 * (share * (1 - share) / 20_000) ** 0.5


def test_the_rule_looks_at_the_content_alone_and_a_larger_share_keeps_what_a_smaller_holds_out() -> None:
    small, large = HeldOut(share=0.1), HeldOut(share=0.3)
    contents = [f"content {number}" for number in range(2000)]
    assert {c for c in contents if small.holds_out(c)} < {c for c in contents if large.holds_out(c)}
    other = HeldOut(share=0.1, seed=1)
    assert {c for c in contents if small.holds_out(c)} != {c for c in contents if other.holds_out(c)}
    assert isinstance(small.holds_out("half of a pair: \ud800"), bool)
