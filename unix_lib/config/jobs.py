"""The shape of a job: what a rule asks of the machine or of SLURM. None of it changes results."""

from unix_lib.config.strict import StrictModel, key


class JobShape(StrictModel):
    """What one job of a stage may use. Accounts, partitions and QOS belong in the profile."""

    threads: int = key("CPU threads a process may use", 1, kind="numeric", ge=1)
    memory_mb: int = key("memory per node, MB", 4000, kind="operational", ge=100)
    runtime_minutes: int = key("wall time of one job", 60, kind="operational", ge=1)
    gpus: int = key("GPUs per node; 0 runs on the CPU", 0, kind="numeric", ge=0)
    nodes: int = key("nodes of one job", 1, kind="numeric", ge=1)

    @property
    def world_size(self) -> int:
        """Processes of a distributed job: one per GPU, or one per node on CPU."""
        return self.nodes * max(1, self.gpus)
