"""Names of artefacts that more than one stage builds."""


def checkpoint_name(run: str, step: int) -> str:
    """Name of a checkpoint's artefact: `<run>-step-00100`."""
    return f"{run}-step-{step:05d}"
