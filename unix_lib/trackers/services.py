"""The services, a few lines each. transformers' own integrations begin another curve with every segment."""

import importlib
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unix_lib.config.trackers import TrackerName
from unix_lib.trackers.curve import Curve, Tracker

SECONDS_FOR_NETWORK = 5.0
SECONDS_TO_START, SECONDS_TO_FINISH = 30.0, 20.0
WANDB_ADDRESS = "https://api.wandb.ai"


class WeightsAndBiases:
    """W&B. Without an API key, or an answer of its address, it writes into the results what `wandb sync` sends."""

    def __init__(self, curve: Curve) -> None:
        wandb: Any = importlib.import_module("wandb")
        self._run = wandb.init(
            mode=wandb_mode(),
            id=curve.id,
            resume="allow",
            project=curve.tracking.project,
            entity=curve.tracking.entity,
            group=curve.experiment,
            name=curve.name,
            tags=[*curve.tracking.tags],
            config=curve.settings,
            dir=str(curve.folder),
            settings=wandb.Settings(
                console="off",
                silent=True,
                disable_git=True,
                init_timeout=SECONDS_TO_START,
                finish_timeout=SECONDS_TO_FINISH,
            ),
        )

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        self._run.finish()


def wandb_mode() -> str:
    """`WANDB_MODE` where it is set; else online with an API key and an address that answers, otherwise offline."""
    address = os.environ.get("WANDB_BASE_URL", WANDB_ADDRESS)
    if mode := os.environ.get("WANDB_MODE"):
        return mode
    if "WANDB_API_KEY" not in os.environ and not _in_netrc(address.partition("://")[2]):
        return "offline"
    try:
        urllib.request.urlopen(address, timeout=SECONDS_FOR_NETWORK).close()
    except urllib.error.HTTPError:
        return "online"  # it answers, if not to this
    except OSError:
        return "offline"
    return "online"


def _in_netrc(host: str) -> bool:
    """Whether `wandb login` left a key for a host."""
    path = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    return path.is_file() and host in path.read_text(encoding="utf-8", errors="replace")


class TensorBoard:
    """TensorBoard's event files, one a segment; it joins those of a folder."""

    def __init__(self, curve: Curve) -> None:
        self._writer: Any = importlib.import_module("torch.utils.tensorboard").SummaryWriter(str(curve.folder))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class Trackio:
    """trackio's database, in the results unless `TRACKIO_DIR` says where."""

    def __init__(self, curve: Curve) -> None:
        os.environ.setdefault("TRACKIO_DIR", str(curve.folder.parent.resolve()))
        trackio: Any = importlib.import_module("trackio")
        self._run = trackio.init(
            project=curve.tracking.project,
            name=curve.id,
            group=curve.experiment,
            config=curve.settings,
            resume="allow",
            embed=False,
        )

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        self._run.finish()


SERVICES: dict[TrackerName, type[Tracker]] = {"wandb": WeightsAndBiases, "tensorboard": TensorBoard, "trackio": Trackio}
