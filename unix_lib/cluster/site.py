"""The site: account, partitions and the like, in `site.yaml` in the project's root, which git ignores.

None of it changes a result; the shape of a job (threads, memory, GPUs, wall time) stands in the experiment's config.
"""

import re
from pathlib import Path

from pydantic import ValidationError, field_validator

from unix_lib.config.load import read_yaml, refused
from unix_lib.config.strict import StrictModel, key
from unix_lib.recipes.plan import STAGES

SITE = Path("site.yaml")
# By the names that the Snakemake plugin has for them as resources of a job.
RESOURCES = {
    "slurm_account": "account",
    "slurm_partition": "partition",
    "qos": "qos",
    "constraint": "constraint",
    "slurm_extra": "options",
}
# Options of sbatch that the plugin sets, and refuses from others.
TAKEN = re.compile(
    r"(?<!\S)(--(account|partition|qos|constraint|time|mem|mem-per-cpu|nodes|ntasks|ntasks-per-gpu|cpus-per-task"
    r"|cpus-per-gpu|gpus|gres|clusters|job-name|comment|output|error|export|workdir|parsable)(?![\w-])|-[ApCtNncJoeDM]\b)"
)


class Place(StrictModel):
    """Where jobs go, and how many go together."""

    account: str | None = key("account that pays", None, kind="operational")
    partition: str | None = key("partition; of several, with commas, SLURM takes one", None, kind="operational")
    qos: str | None = key("quality of service", None, kind="operational")
    constraint: str | None = key("features that nodes must have", None, kind="operational")
    options: str | None = key("more options of sbatch", None, kind="operational")
    batch: int | None = key(
        "so many jobs of a stage are one submission and run in it one after the other",
        None,
        kind="operational",
        ge=1,
        le=1000,
    )

    @field_validator("options")
    @classmethod
    def _options_are_free(cls, options: str | None) -> str | None:
        if found := TAKEN.search(options or ""):
            raise ValueError(
                f"{found[0]}: account, partition, qos and constraint have keys of their own, a job's shape stands in "
                "the experiment's config, and Snakemake names jobs and logs; take it out"
            )
        return options


class Site(Place):
    """What a site says of all stages, and of some of them."""

    stages: dict[str, Place] = key("what is different for a stage", {}, kind="operational")
    hostfile: Path | None = key(
        "machines without SLURM: a file of lines `<host> slots=<processes>`", None, kind="operational"
    )
    remote_shell: str = key(
        "how a command is run on such a machine: put before the host's name",
        "ssh -o BatchMode=yes -o ServerAliveInterval=30",
        kind="operational",
    )

    @field_validator("stages")
    @classmethod
    def _stages_are_known(cls, stages: dict[str, Place]) -> dict[str, Place]:
        if unknown := sorted(set(stages) - set(STAGES)):
            raise ValueError(f"{', '.join(unknown)}: no such stage; there are {', '.join(STAGES)}")
        if "train" in stages and (stages["train"].batch or 1) > 1:
            raise ValueError("train.batch: segments are long and follow one another; batch other stages")
        return stages

    def of(self, stage: str) -> Place:
        """Where the jobs of a stage go: its own word before the site's."""
        own = self.stages.get(stage, Place()).model_dump(exclude_none=True)
        return Place(**{name: getattr(self, name) for name in Place.model_fields} | own)

    def batch_of(self, stage: str) -> int:
        """How many jobs of a stage go together; segments of training go alone."""
        return 1 if stage == "train" else self.of(stage).batch or 1

    def resources(self) -> list[str]:
        """Resources, as the plugin calls them, that the site says something of."""
        places = [self, *self.stages.values()]
        return [name for name, own in RESOURCES.items() if any(getattr(place, own) is not None for place in places)]


def read_site(root: Path = Path()) -> Site:
    """What the site says; nothing where there is no file.

    Raises:
        ConfigError: a file that can't be read, or says what no site says.
    """
    path = root / SITE
    if not path.exists():
        return Site()
    try:
        return Site.model_validate(read_yaml(path, keys="account and partition"))
    except ValidationError as error:
        raise refused(str(path), error) from None
