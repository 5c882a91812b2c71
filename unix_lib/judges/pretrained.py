"""Pretrained models that judges use: a folder or a repository of the hub, and how its weights are read."""

from typing import Any

from unix_lib.config.hub import FetchedRepository, OfHub, model_of_hub
from unix_lib.config.needs import Need, model_need
from unix_lib.config.outside import FilesIdentity, Outside, ReadsOutside
from unix_lib.config.strict import key
from unix_lib.judges.judge import JudgeError


class JudgeModel(OfHub, ReadsOutside):
    """Where a model is; the base of what each judge says of its own."""

    path: str = key("local folder or hub id", min_length=1)
    revision: str = key("its commit on the hub; of a branch or tag the lock has it", "main")

    def of_hub(self) -> FetchedRepository | None:
        return model_of_hub(self.path, self.revision)

    def identify(self, outside: Outside) -> FilesIdentity | None:
        return outside.pretrained(self.path)

    def need(self, judge: str) -> Need:
        """That somebody brings or fetches it."""
        return model_need(f"judge {judge}", self.path, self.revision)

    @property
    def name(self) -> str:
        """What scores call it: the last part of its path."""
        return self.path.rstrip("/").rpartition("/")[2]


def first_line(error: Exception) -> str:
    """What another library's error says first."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def opened(kind: Any, model: JudgeModel, **settings: Any) -> Any:
    """What `kind.from_pretrained` makes of a model's files, which are here already.

    Raises:
        JudgeError: they are not, or are none of this kind's, or lack weights, which would be random then.
    """
    try:
        made = kind.from_pretrained(model.path, revision=model.revision, local_files_only=True, **settings)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise JudgeError(
            f"{model.path} (revision {model.revision}): no {kind.__name__} here ({first_line(error)}); give a local "
            "folder, or run `unix-lib fetch` where there is a network"
        ) from None
    if not settings.get("output_loading_info"):
        return made
    network, found = made
    lacking = sorted({*found["missing_keys"], *(key for key, *_ in found["mismatched_keys"])})
    if lacking := [name for name in lacking if name in dict(network.named_parameters())]:
        raise JudgeError(
            f"{model.path}: {len(lacking)} weights of a {kind.__name__} are missing or of another shape, the first "
            f"{lacking[0]}; give the weights of such a model"
        )
    return network.eval()


def opened_network(kind: Any, model: JudgeModel, device: str) -> Any:
    """A network with all its weights, for use on a device; raises what `opened` does."""
    return opened(kind, model, output_loading_info=True).to(device)


def device_called(device: str) -> str:
    """The device itself: `auto` is a GPU where there is one."""
    import torch

    return ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
