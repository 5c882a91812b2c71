"""Which device a job computes on."""

from unix_lib.config.jobs import JobShape


def device_of(shape: JobShape) -> str:
    """`cuda` where the job asked for a GPU and has one, else `cpu`."""
    import torch

    return "cuda" if shape.gpus and torch.cuda.is_available() else "cpu"
