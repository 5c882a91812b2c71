"""Jobs that go to a scheduler together: several short ones of a stage in one submission."""

from unix_lib.artefacts.files import digest_of
from unix_lib.cluster.site import Site
from unix_lib.recipes.plan import STAGES, Plan


def batches(plan: Plan, site: Site) -> dict[str, str]:
    """The name of the batch that an artefact is made in; artefacts that a job of their own makes are not in it.

    A batch's jobs follow one another in the plan, and none of them waits for another of its stage. What is finished is
    counted too, so that a driver after this one finds the same batches, under the same names: `<stage>-<8 digits>`.
    """
    found: dict[str, str] = {}
    for stage in STAGES:
        if (size := site.batch_of(stage)) == 1:
            continue
        own = f"{stage}/"
        alone = [
            artefact
            for artefact in plan.targets(stage)
            if not any(needed.startswith(own) for needed in plan.waits_for(artefact))
        ]
        for start in range(0, len(alone), size):
            together = alone[start : start + size]
            found |= dict.fromkeys(together, f"{stage}-{digest_of(together)[:8]}")
    return found
