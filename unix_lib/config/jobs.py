"""The shape of a job and how it is computed: none of it changes what a result means."""

from unix_lib.config.strict import StrictModel, key


class JobShape(StrictModel):
    """What one job of a stage may use. Accounts, partitions and QOS belong in `site.yaml`."""

    threads: int = key("CPU threads a process may use", 1, kind="numeric", ge=1, le=4096)
    memory_mb: int = key("memory per node, MB", 4000, kind="operational", ge=100, le=100_000_000)
    runtime_minutes: int = key("wall time of one job", 60, kind="operational", ge=1, le=525_600)
    gpus: int = key("GPUs per node; 0 runs on the CPU", 0, kind="numeric", ge=0, le=64)
    nodes: int = key("nodes of one job", 1, kind="numeric", ge=1, le=10_000)

    @property
    def processes_per_node(self) -> int:
        """Processes of a distributed job on a node: one per GPU, one on the CPU."""
        return max(1, self.gpus)

    @property
    def world_size(self) -> int:
        """Processes of a distributed job."""
        return self.nodes * self.processes_per_node


class Execution(StrictModel):
    """Numeric and operational settings of a job: recorded with its result, never part of its recipe."""

    job: JobShape = key("shape of the job", JobShape(), kind="operational")


class BatchedExecution(Execution):
    """A job that computes in batches."""

    batch_size: int = key("samples computed together", 64, kind="numeric", ge=1, le=100_000)
