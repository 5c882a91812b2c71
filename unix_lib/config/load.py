"""YAML in, a checked `Experiment` out.

A config may say `extends: laptop.yaml`, a file beside it, and give only what differs: mappings are merged key by key,
everything else replaces what it extends, and `null` in place of anything removes it. A mapping whose `kind`, `scorer`
or `preset` differs from the one it extends replaces it whole: the keys of one kind mean nothing to another.

What it names of the hub without a commit gets it from the locks beside these files (`config.hub_lock`).
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from unix_lib.config.consistency import faults
from unix_lib.config.experiment import Experiment
from unix_lib.config.hub_lock import HubLock, lock_path, read_lock
from unix_lib.config.strict import ConfigError

MAX_DEPTH = 8
KIND_KEYS = ("kind", "scorer", "preset")


def load_experiment(
    *paths: Path, overrides: Mapping[str, Any] | None = None, lock: HubLock | None = None
) -> Experiment:
    """Read and check a config file.

    Args:
        paths: the file; of several, each is merged over those before it.
        overrides: values that are merged over the last file's own, before what it extends is looked for.
        lock: has the commits of what it names of the hub; by default `lock_of` its files.

    Raises:
        ConfigError: a file is missing, is not YAML, or fails a check; one line per fault.
    """
    *earlier, last = paths
    values: dict[str, Any] = {}
    for path in earlier:
        values = _merged(values, read_config(path))
    values = _merged(values, read_config(last, overrides))
    experiment = _checked(values, origin=", ".join(map(str, paths)) + (" with overrides" if overrides else ""))
    return (lock_of(*paths, overrides=overrides) if lock is None else lock).pinned(experiment)


def lock_of(*paths: Path, overrides: Mapping[str, Any] | None = None) -> HubLock:
    """The locks of config files as one.

    Raises:
        ConfigError: one that is damaged.
    """
    return HubLock([entry for path in lock_paths(*paths, overrides=overrides) for entry in read_lock(path).entries])


def lock_paths(*paths: Path, overrides: Mapping[str, Any] | None = None) -> list[Path]:
    """Where the locks of config files are: the last file's first, each before those of what it extends."""
    files: dict[Path, None] = {}
    for path in reversed(paths):
        chain = [path]
        own = _merged(read_yaml(path), dict(overrides or {}) if path == paths[-1] else {})
        _extended(own, str(path), path.parent, chain)
        files |= dict.fromkeys(chain)
    return list(map(lock_path, files))


def read_config(path: Path, overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The values of a config file with what it extends, unchecked.

    Raises:
        ConfigError: the file, or one that it extends, is missing or is not a YAML mapping.
    """
    own = _merged(read_yaml(path), dict(overrides or {}))
    extended: dict[str, Any] = _extended(own, str(path), path.parent)
    return extended


def parse_experiment(values: Any, origin: str, folder: Path) -> Experiment:
    """Check config values, wherever they come from.

    Args:
        values: what the YAML says.
        origin: starts each line of an error.
        folder: where a config named by `extends` is looked for.

    Raises:
        ConfigError: see `load_experiment`.
    """
    return _checked(_extended(values, origin, folder), origin)


def _checked(values: Any, origin: str) -> Experiment:
    try:
        experiment = Experiment.model_validate(values)
    except ValidationError as error:
        raise refused(origin, error) from None
    found = faults(experiment)
    if found:
        raise ConfigError("\n".join(f"{origin}: {fault}" for fault in found))
    return experiment


def refused(origin: str, error: ValidationError) -> ConfigError:
    """All faults that a model has found, a line each, which begins with `origin`."""
    lines = []
    for fault in error.errors():
        where = ".".join(str(part) for part in fault["loc"]).replace("analyze.analyses.", "analyze.", 1)
        told = " ".join(f"{where + ': ' if where else ''}{fault['msg']}".split())  # a key may hold a line break
        lines.append(f"{origin}: {told}")
    return ConfigError("\n".join(lines))


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # untyped
    """PyYAML's safe loader, except that a key may stand only once in a mapping: PyYAML would take the last one."""

    def compose_mapping_node(self, anchor: dict[Any, yaml.Node] | None) -> yaml.MappingNode:
        # As it is written: constructing a mapping adds the keys of a merge (`<<`), which its own keys may repeat.
        node = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for name in (name for name, _ in node.value if isinstance(name, yaml.ScalarNode)):
            line = name.start_mark.line + 1
            if (name.tag, name.value) in lines:
                first = lines[name.tag, name.value]
                raise yaml.YAMLError(
                    f"key '{name.value}' in line {line} stands in line {first} already; remove one of them"
                )
            lines[name.tag, name.value] = line
        return node

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """PyYAML would take 010 as 8 and 1:30 as 90."""
        number: int = super().construct_yaml_int(node)
        if ":" in node.value or re.fullmatch(r"[-+]?0[0-7_]+", node.value):
            line = node.start_mark.line + 1
            raise yaml.YAMLError(f"{node.value} in line {line} is {number} to YAML; write {number}, or quote a text")
        return number

    def construct_yaml_str(self, node: yaml.ScalarNode) -> str:
        try:
            node.value.encode()
        except UnicodeEncodeError:
            line = node.start_mark.line + 1
            raise yaml.YAMLError(f"the text in line {line} holds half a character (\\ud800 is one)") from None
        return str(node.value)


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
_Loader.add_constructor("tag:yaml.org,2002:str", _Loader.construct_yaml_str)


def read_yaml(path: Path, asked: str = "", keys: str = "'experiment' and 'extends'") -> dict[str, Any]:
    """What a file says; `asked` is who asks for it, `keys` what it should say at least.

    Raises:
        ConfigError: the file is missing or is not a YAML mapping.
    """
    try:
        if not path.is_file():
            raise ConfigError(f"{asked}{path}: no such config; {_neighbours(path)}")
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{asked}{path}: can't be read ({error.strerror}); give another path, or mend it") from None
    except RecursionError:
        raise ConfigError(f"{path}: nested too deeply for a config; take out brackets") from None
    # PyYAML lets a ValueError through, of a date such as 2025-02-30.
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: holds no keys; give at least {keys}")
    return values


def _neighbours(path: Path) -> str:
    return "in that folder: " + (", ".join(sorted(p.name for p in path.parent.glob("*.yaml"))) or "none")


def _extended(values: Any, origin: str, folder: Path, chain: list[Path] | None = None) -> Any:
    """Values with what they extend; the files of that are added to `chain`."""
    if not isinstance(values, dict) or "extends" not in values:
        return values
    chain = [] if chain is None else chain
    if len(chain) > MAX_DEPTH:
        raise ConfigError(f"{origin}: configs extend each other in a circle; remove one 'extends'")
    base = folder / str(values["extends"])
    chain.append(base)
    own = {name: value for name, value in values.items() if name != "extends"}
    return _merged(_extended(read_yaml(base, f"{origin}: extends: "), str(base), base.parent, chain), own)


def _merged(base: Any, own: Any) -> Any:
    if not (isinstance(base, dict) and isinstance(own, dict)):
        return own
    if any(name in base and name in own and base[name] != own[name] for name in KIND_KEYS):
        base = {}
    merged = dict(base)
    for name, value in own.items():
        if value is None and name in base:
            del merged[name]
        else:
            merged[name] = _merged(base[name], value) if name in base else value
    return merged
