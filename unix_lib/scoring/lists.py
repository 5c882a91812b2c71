"""What is scored: models with their settings, from a YAML file or from the command line."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import ValidationError, model_validator

from unix_lib.config.brought import AskingExecution, EndpointSettings
from unix_lib.config.endpoints import Patience
from unix_lib.config.evaluate import BenchmarkSettings, JudgeKind, JudgeSettings, ScorerKind
from unix_lib.config.kinds import KindField
from unix_lib.config.load import read_config, refused
from unix_lib.config.strict import ConfigError, StrictModel, key

PAPER = "config/ablation-1.5b.yaml"  # its evaluate section has the paper's benchmarks


class Asking(Patience):
    """How many requests an endpoint gets at a time, and how patient they are."""

    concurrency: int = key("requests under way at a time", 16, ge=1, le=4096)
    # Longer than a judge is waited for: of many requests under way the last waits for all others.
    seconds: float = key("longest wait for one answer", 1800.0, gt=0, le=604_800)


class ScoredEndpoint(Asking):
    """A model behind an OpenAI-compatible address."""

    url: str = key("address, up to and with /v1", pattern="^https?://")
    model: str = key("name that requests give; empty takes the first that the address lists", "")
    version: str = key("what you call this state of it; a changed one is asked anew", "")
    parameters: dict[str, Any] = key("what else stands in every request", {})
    tells_sampling: bool = key("requests for images say seed, temperature, top-k, top-p and guidance", True)


class StartedServer(Asking):
    """A server of the checkpoint, started for its benchmarks and stopped after them."""

    workers: int = key("worker processes, one a GPU", 1, ge=1, le=1024)
    seconds_to_start: float = key("longest wait until it is ready", 600.0, gt=0, le=86_400)


class ScoredModel(StrictModel):
    """One model, the benchmarks that it answers, and how."""

    name: str | None = key("what tables call it; by default as its checkpoint is called", None, min_length=1)
    checkpoint: str | None = key("a checkpoint's folder", None, min_length=1)
    endpoint: ScoredEndpoint | None = key("a model behind an address, in place of a checkpoint", None)
    server: StartedServer | None = key("ask the checkpoint through a server of its own; texts are scored without", None)
    image_tokenizer: str | None = key("folder of tokenizers/image; by default the one that it was trained with", None)
    benchmarks: list[str] = key("benchmarks, groups of them, or families; empty takes all", [])
    files: dict[str, str] = key("files of benchmarks that lie elsewhere, or are others", {})
    prompts: dict[str, str] = key("files with a benchmark's prompts in other words, such as another language's", {})
    limit: int | None = key("only the first this many samples of each benchmark", None, ge=1, le=1_000_000_000)
    guidance: float | None = key("guidance scale of its images", None, ge=0)
    images_per_prompt: int | None = key("images a prompt", None, ge=1, le=10_000)
    max_answer_tokens: int | None = key("longest answer to a question, tokens", None, ge=1, le=100_000)
    question_suffix: str | None = key("text that every question about an image ends with", None)
    batch_size: int = key("samples computed together", 64, ge=1, le=100_000)
    device: Literal["auto", "cpu", "cuda"] = key("where it is computed; auto takes a GPU where there is one", "auto")

    @model_validator(mode="after")
    def _one_model(self) -> "ScoredModel":
        if (self.checkpoint is None) == (self.endpoint is None):
            raise ValueError("give exactly one of 'checkpoint' and 'endpoint'")
        if self.endpoint is not None:
            if self.server is not None:
                raise ValueError("a model behind an address has no 'server'; leave it out")
            self.behind()
        return self

    @property
    def called(self) -> str:
        """What messages call it."""
        return self.behind().name if self.endpoint is not None else self.name or str(self.checkpoint)

    def asking(self, url: str | None = None) -> AskingExecution:
        """How its endpoint, or the server at `url`, is asked."""
        how = self.endpoint or self.server
        assert how is not None
        return how.narrowed(AskingExecution, url=url)

    def behind(self) -> EndpointSettings:
        """What its endpoint is; without a name it is called after its address."""
        assert self.endpoint is not None
        called = re.sub(r"[^a-z0-9]+", "-", urlsplit(self.endpoint.url).netloc.lower()).strip("-")
        return self.endpoint.narrowed(EndpointSettings, name=self.name or called)


class ScoringList(StrictModel):
    """The models that one call scores, and benchmarks of one's own."""

    config: str = key("config whose benchmarks, judges and sampling are meant", PAPER)
    benchmarks: dict[str, Annotated[BenchmarkSettings, KindField("scorer", ScorerKind, "scorer")]] = key(
        "benchmarks by name, beside the config's", {}
    )
    judges: dict[str, Annotated[JudgeSettings, KindField("judge", JudgeKind)]] = key(
        "judges by name, beside the config's", {}
    )
    models: list[ScoredModel] = key("what is scored", min_length=1)


def read_list(path: Path, options: Mapping[str, Any]) -> ScoringList:
    """A list of models from a file, in which `defaults` stands for what a model doesn't say.

    Args:
        options: more defaults, over the file's; `config` among them is the list's.

    Raises:
        ConfigError: no such file, or one that says something else; a line a fault.
    """
    values = read_config(path)
    defaults = values.pop("defaults", {})
    models = values.get("models")
    if not isinstance(defaults, dict) or not isinstance(models, list):
        raise ConfigError(f"{path}: give a list 'models', and 'defaults' as keys that a model may have")
    return _list(str(path), values, models, {**defaults, **options})


def list_of(what: Sequence[str], options: Mapping[str, Any]) -> ScoringList:
    """A list of checkpoints, and of addresses of models, that are scored alike.

    Raises:
        ConfigError: an option that can't be.
    """
    behind = [re.match("https?://", each) is not None for each in what]
    models = [
        {"endpoint": {"url": each}} if url else {"checkpoint": each} for each, url in zip(what, behind, strict=True)
    ]
    return _list("evaluate", {}, models, options)


def _list(origin: str, values: dict[str, Any], models: list[Any], defaults: Mapping[str, Any]) -> ScoringList:
    of_list = {name: value for name, value in defaults.items() if name == "config"}
    of_models = {name: value for name, value in defaults.items() if name != "config"}
    models = [{**of_models, **model} if isinstance(model, dict) else model for model in models]
    try:
        return ScoringList.model_validate({**values, **of_list, "models": models})
    except ValidationError as error:
        raise refused(origin, error) from None
