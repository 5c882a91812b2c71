"""Rules decide rarely where there is no difference, in a short form; `tests.figures.rates` has the long one."""

import pytest
from scipy import stats

from tests.figures.rates import CASES, rates

REPLICATIONS = 12
MOST = {share: int(stats.binom.ppf(0.9999, REPLICATIONS, share)) for share in (0.05, 0.07)}


@pytest.mark.parametrize("case", CASES)
def test_no_difference_is_decided_rarely(case: str) -> None:
    found = rates(CASES[case], REPLICATIONS)
    assert round(found.wrong * REPLICATIONS) <= MOST[0.05]
    if "less noisy" not in case:
        assert round((1 - found.covered) * REPLICATIONS) <= MOST[0.07]
