"""Which jobs go together: always the same, and none that waits for another of its batch."""

from collections import Counter

from tests.recipes.finished import small_plan
from unix_lib.cluster.batches import batches
from unix_lib.cluster.site import Place, Site

SITE = Site(batch=3, stages={"figures": Place(batch=1)})


def test_jobs_of_a_stage_go_together_in_the_order_of_the_plan() -> None:
    plan = small_plan()
    found = batches(plan, SITE)
    of_scores = [found[artefact] for artefact in plan.targets("evaluate")]
    assert len(of_scores) > 3
    assert of_scores == sorted(of_scores, key=of_scores.index)
    assert set(Counter(of_scores).values()) <= {1, 2, 3}
    assert Counter(of_scores)[of_scores[0]] == 3
    assert {name.partition("-")[0] for name in found.values()}.isdisjoint({"train", "figures"})
    assert batches(small_plan(), SITE) == found


def test_what_waits_for_another_job_of_its_stage_goes_alone() -> None:
    plan = small_plan()
    found = batches(plan, SITE)
    assert plan.named("tokenizers", "vocabulary") not in found
    assert plan.named("tokenizers", "text") in found
    for artefact, batch in found.items():
        assert batch not in {found.get(needed) for needed in plan.waits_for(artefact)}


def test_without_batches_each_job_goes_alone() -> None:
    assert batches(small_plan(), Site()) == {}
