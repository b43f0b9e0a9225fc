"""Where options come from: the command line, the environment, a TOML file, the provisioner's file, in this order.

Each source becomes a layer of values that remember where they stand and what they are called there, so that a wrong one
can be found by who wrote it. The first layer that has an option decides; the defaults are not a layer but the options'
own. All that is wrong is reported at once. The region alone may also stand where all programs on AWS look for it.
"""

from __future__ import annotations

import argparse
import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from scaler_batch.adapter.errors import SettingsError
from scaler_batch.adapter.options import ALIASES, BY_NAME, FOREIGN, OPTIONS, REQUIRED
from scaler_batch.adapter.provisioned import read_provisioned
from scaler_batch.aws import configured_region

SECTION: Final = "aws_hpc_worker_adapter"
"""Section of the TOML file; Scaler's own name for it."""

PREFIX: Final = "SCALER_BATCH_"
"""Begins the name of every environment variable."""

TABLES: Final = "capabilities"
"""Key of the section below which each capability has a table."""


_SHOWN: Final = 80
"""Characters of a wrong value that an error repeats."""


@dataclass(frozen=True, slots=True)
class Given:
    """A value and where it stands.

    Attributes:
        value: As the source has it.
        label: What the source calls it.
        place: The source.
    """

    value: Any
    label: str
    place: str

    def wrong(self, allowed: str) -> str:
        """Say that it cannot be used."""
        shown = repr(self.value)
        if len(shown) > _SHOWN:
            shown = f"{shown[:_SHOWN]}… ({len(shown)} characters)"
        return f"{self.label} is {shown} ({self.place}); allowed: {allowed}"


Layer = Mapping[str, Given]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The options in force.

    Attributes:
        values: By name; ``None`` for what nobody gave and has no default.
        given: By name, where the value stands, unless it is the default.
        tables: The tables of capabilities, as the TOML file has them.
        file: The TOML file.
    """

    values: Mapping[str, Any]
    given: Layer
    tables: Mapping[str, Any] = field(default_factory=dict)
    file: str = ""

    def __getitem__(self, name: str) -> Any:
        """The value of an option."""
        return self.values[name]

    def wrong(self, name: str, allowed: str) -> SettingsError:
        """Say that a value cannot be used with the others."""
        given = self.given.get(name) or Given(self.values[name], BY_NAME[name].flag, "default")
        return SettingsError(given.wrong(allowed))

    def source(self, name: str) -> str:
        """Where the value of an option comes from."""
        given = self.given.get(name)
        return f"{given.label}, {given.place}" if given else "default"


def choose(flags: argparse.Namespace, environment: Mapping[str, str]) -> Chosen:
    """Decide which value of each option is in force.

    Args:
        flags: The command line, by the options' own names; only what was given.
        environment: The environment.

    Raises:
        SettingsError: Something is wrong, or missing; names all of it.
    """
    layers: list[Layer] = [_from_flags(vars(flags)), _from_environment(environment)]
    tables: Mapping[str, Any] = {}
    config = _first(layers, "config")
    if config is not None:
        layer, tables = _from_toml(config)
        layers.append(layer)
    handover = _first(layers, "from_provisioned")
    if handover is not None:
        layers.append(_from_provisioned(handover))
    layers.append(_from_aws(environment))
    given = {option.name: found for option in OPTIONS if (found := _first(layers, option.name)) is not None}
    return Chosen(_values(given), given, tables, "" if config is None else str(config.value))


def _first(layers: Iterable[Layer], name: str) -> Given | None:
    return next((layer[name] for layer in layers if name in layer), None)


def _values(given: Layer) -> dict[str, Any]:
    values: dict[str, Any] = {}
    faults = []
    for option in OPTIONS:
        found = given.get(option.name)
        try:
            values[option.name] = option.default if found is None else option.kind.read(found.value)
        except ValueError:
            faults.append(found.wrong(option.kind.allowed) if found else option.name)
    missing = [BY_NAME[name].flag for name in REQUIRED if name not in given]
    if missing:
        faults.append(f"missing {', '.join(missing)}; see --help")
    if faults:
        raise SettingsError("\n".join(faults))
    return values


def _from_flags(flags: Mapping[str, Any]) -> Layer:
    faults = [_foreign("--" + name.replace("_", "-"), name) for name in flags if name in FOREIGN]
    if faults:
        raise SettingsError("\n".join(faults))
    return {name: Given(value, BY_NAME[name].flag, "command line") for name, value in flags.items()}


def _from_environment(environment: Mapping[str, str]) -> Layer:
    """Read the variables; one that is empty counts as not set, as shells and containers have it."""
    return {
        ALIASES[name]: Given(environment[variable], variable, "environment")
        for name in reversed(ALIASES)  # an option's own name goes over its others
        if environment.get(variable := PREFIX + name.upper())
    }


def _from_toml(config: Given) -> tuple[Layer, Mapping[str, Any]]:
    path, text = Path(str(config.value)), _text(config)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not TOML: {error}") from error
    if not isinstance(document.get(SECTION), dict):
        raise SettingsError(f"{path} has no section [{SECTION}]{suggestion(SECTION, document)}")
    section = dict(document[SECTION])
    tables = section.pop(TABLES, {}) if isinstance(section.get(TABLES, {}), dict) else {}
    faults = [_unknown(path, name) for name in section if name not in ALIASES]
    if faults:
        raise SettingsError("\n".join(faults))
    place = f"{path}, section [{SECTION}]"
    return {ALIASES[name]: Given(section[name], name, place) for name in _own_last(section)}, tables


def _own_last(section: Mapping[str, Any]) -> list[str]:
    """The keys, an option's own name after its others, so that it goes over them."""
    return sorted(section, key=lambda name: name in BY_NAME)


def _unknown(path: Path, name: str) -> str:
    if name in FOREIGN:
        return _foreign(f"{path}: {name}", name)
    return f"{path}: [{SECTION}] has no option {name!r}{suggestion(name.replace('-', '_'), [*ALIASES, TABLES])}"


def _foreign(said: str, name: str) -> str:
    return f"{said} is an option of Scaler's own workers and has no meaning here: {FOREIGN[name]}"


def suggestion(name: str, known: Iterable[str]) -> str:
    """Say which of the known names may have been meant."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else "; see --help"


def _from_provisioned(handover: Given) -> Layer:
    path = str(handover.value)
    try:
        found = read_provisioned(_text(handover))
    except ValueError as error:
        raise SettingsError(f"{path} is not a file of scaler-batch-provision: {error}") from error
    return {option: Given(value, label, path) for option, (label, value) in found.items()}


def _from_aws(environment: Mapping[str, str]) -> Layer:
    found = configured_region(environment)
    return {"aws_region": Given(found.name, found.source, "AWS configuration")} if found else {}


def _text(file: Given) -> str:
    try:
        return Path(file.value).read_text(encoding="utf-8")
    except TypeError as error:
        raise SettingsError(file.wrong("the path of a file")) from error
    except OSError as error:
        raise SettingsError(f"{file.value} cannot be read: {error.strerror} ({file.label}, {file.place})") from error
    except ValueError as error:
        raise SettingsError(f"{file.value} is not text: {error}") from error
