"""Kinds: what a source, tokenizer, scorer, judge, analysis or figure says of itself, and where each is found.

A kind is a module with a `KIND`. The project's own are listed, a line each, in a module of their room (`ROOMS`); a
config may also name a module outside the package (`kind: my_project.weather`). Modules of kinds say which function
makes a result by its name, so that looking at a plan imports neither torch nor matplotlib.
"""

import importlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, Generic, Literal, TypeVar, get_args

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from unix_lib.config.jobs import Execution
from unix_lib.config.outside import FilesIdentity, ReadsOutside
from unix_lib.config.strict import ConfigError, StrictModel, nearest

Sort = Literal["source", "text tokenizer", "image tokenizer", "scorer", "judge", "analysis", "figure"]
# The room of each sort: a module whose `KINDS` maps names to modules with a `KIND`, or to kinds.
ROOMS: dict[Sort, str] = {
    "source": "unix_lib.sources.kinds",
    "text tokenizer": "unix_lib.tokenizers.text_kinds",
    "image tokenizer": "unix_lib.tokenizers.image_kinds",
    "scorer": "unix_lib.evaluate.kinds",
    "judge": "unix_lib.judges.kinds",
    "analysis": "unix_lib.analyze.kinds",
    "figure": "unix_lib.figures.kinds",
}
KindType = TypeVar("KindType", bound="Kind[Any]")
SettingsType = TypeVar("SettingsType", bound=StrictModel)


@dataclass(frozen=True)
class JobKind(Generic[SettingsType]):
    """One kind of job: its settings, who does it, and the integer that is raised when its results change."""

    settings: type[SettingsType]  # semantic keys only: what a recipe holds
    make: str  # "module:function", which takes the job
    logic_version: int
    execution: type[Execution] = Execution
    makes: str = ""  # role of the artefacts that the job makes beside its own
    # Whether the job says when it reads files from outside (`Job.begin_reading`, `end_reading`), since it may not need
    # them, or not for long; those of others are checked when they begin and when they finish.
    reads_when_it_says: bool = False


@dataclass(frozen=True)
class Kind(Generic[SettingsType]):
    """What every kind has: the model of what a config says of it."""

    settings: type[SettingsType]


def imported(path: str) -> Any:
    """The object at "module:name".

    Raises:
        ConfigError: there is none.
    """
    module, _, name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ModuleNotFoundError as error:
        if not f"{module}.".startswith(f"{error.name}."):
            raise  # something that the module needs: whoever mends it wants to know where it was asked for
        found = None
    if found is None:
        raise ConfigError(f"there is no {path}; define it, or correct the kind that names it")
    return found


def find_kind(sort: Sort, name: str, wanted: type[KindType]) -> KindType:
    """A kind, of class `wanted`, by its name in a config or by the module of one outside the package.

    Raises:
        ConfigError: no such kind, a module that can't be imported, or one that lacks what a kind needs.
    """
    listed = known_kinds(sort)
    module = listed.get(name, name)
    if not isinstance(module, str):
        found = module
    elif module == name and "." not in name:
        raise ConfigError(f"unknown {sort} kind '{name}'; {nearest(name, list(listed))}, or name a module of your own")
    else:
        try:
            found = getattr(importlib.import_module(module), "KIND", None)
        except (Exception, SystemExit) as error:  # whatever somebody's module raises
            raise ConfigError(
                f"{sort} kind '{name}': module {module} can't be imported ({_in_one_line(error)}); correct the module "
                "or its name, or put it on Python's path"
            ) from None
    if not isinstance(found, wanted):
        raise ConfigError(
            f"{sort} kind '{name}': {module} has no KIND of class {wanted.__name__}; docs/extending.md shows one"
        )
    for lacking in _lacking(found) if name not in listed else ():
        raise ConfigError(f"{sort} kind '{name}': {lacking}; docs/extending.md shows one")
    return found


def _lacking(kind: Kind[Any]) -> Iterator[str]:
    """What is wrong with a kind, as far as it can be seen without importing more."""
    for field in fields(kind):
        value = getattr(kind, field.name)
        if "JobKind" in str(field.type) and not isinstance(value, JobKind | None):
            yield f"its {field.name} is no JobKind"
        if isinstance(value, JobKind) and _unchecked(value.settings):
            derived = f"derive {value.settings.__name__} from ReadsOutside, with an identify of its own"
            yield f"its {field.name} says what files from outside are, which no job would check; {derived}"
        path = value.make if isinstance(value, JobKind) else value
        module, _, name = path.partition(":") if isinstance(path, str) else ("", "", "")
        if name and module in sys.modules and not hasattr(sys.modules[module], name):
            yield f"its {field.name} names {path}, and there is no such function"


def _unchecked(settings: type[StrictModel]) -> bool:
    """Whether settings hold the identity of files from outside that no job would check."""
    said = any(
        FilesIdentity in (each.annotation, *get_args(each.annotation)) for each in settings.model_fields.values()
    )
    return said and not (issubclass(settings, ReadsOutside) and settings.identify is not ReadsOutside.identify)


def _in_one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def known_kinds(sort: Sort) -> dict[str, Any]:
    """The project's own kinds of a sort by name: modules, or the kinds themselves."""
    listed: dict[str, Any] = importlib.import_module(ROOMS[sort]).KINDS
    return listed


@dataclass(frozen=True)
class KindField:
    """Annotation of a field that holds some kind's settings, told apart by one of their keys.

    `wanted` is the class that the sort's kinds have, `model` their attribute that holds the model of the field.
    """

    sort: Sort
    wanted: type[Kind[Any]]
    discriminator: str = "kind"
    model: str = "settings"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(partial(self._validated, source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        options = [handler(model.__pydantic_core_schema__) for model in dict.fromkeys(self.models().values())]
        # One that the project's own kinds' schemas don't describe.
        outside = {
            "type": "object",
            "description": f"{self.sort} of a module of your own",
            "properties": {self.discriminator: {"type": "string", "pattern": r"\."}},
            "required": [self.discriminator],
            "additionalProperties": True,
        }
        return {"anyOf": [*options, outside, {"type": "string"}]}

    def models(self) -> dict[str, type[StrictModel]]:
        """The field's models by the names of the project's own kinds."""
        return {name: getattr(find_kind(self.sort, name, Kind), self.model) for name in known_kinds(self.sort)}

    def _validated(self, base: type[StrictModel], value: Any) -> StrictModel:
        if isinstance(value, StrictModel):
            return value
        if isinstance(value, str):
            value = {self.discriminator: value}
        name = value.get(self.discriminator) if isinstance(value, dict) else None
        if not isinstance(name, str):
            known = ", ".join(known_kinds(self.sort))
            raise ValueError(f"give '{self.discriminator}', the kind of {self.sort}: {known}, or a module of your own")
        try:
            kind = find_kind(self.sort, name, self.wanted)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        model = getattr(kind, self.model)
        if not (isinstance(model, type) and issubclass(model, base)):
            told = f"its {self.model} are no {base.__name__}; docs/extending.md shows one"
            raise ValueError(f"{self.sort} kind '{name}': {told}")
        validated: StrictModel = model.model_validate(value)
        return validated
