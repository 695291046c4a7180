"""Treaty parameter sets: what a treaty asks of a comparison, as data in the TOML files beside this one."""

import os
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from pcc_match.dna.rule import DnaRule, InclusionRule
from pcc_match.errors import ExchangeError
from pcc_match.finger.search_types import SEARCH_TYPES, FingerRule

_SHIPPED: Final = Path(__file__).parent
_UNLIMITED: Final = "unlimited"  # TOML has no word for "none"


@dataclass(frozen=True)
class Treaty:
    """One parameter set: the matching rule, what a profile needs to be exchanged, the limits of searches of prints."""

    name: str
    title: str
    basis: str  # the legal text
    dna: DnaRule
    inclusion: InclusionRule
    finger: FingerRule


# Each table of a treaty file and its keys; a set that extends another may leave any of them out.
_KEYS: Final = {
    "": {"name", "title", "basis"},
    "dna": {field.name for field in fields(DnaRule)} - {"name", "basis"},
    "dna.inclusion": {field.name for field in fields(InclusionRule)},
    "finger": set(),
    "finger.max_candidates": set(SEARCH_TYPES),
}


def treaties() -> tuple[str, ...]:
    """The names of the sets that come with the library."""
    return tuple(sorted(file.stem for file in _SHIPPED.glob("*.toml")))


def treaty(name_or_path: str | os.PathLike[str]) -> Treaty:
    """A set that comes with the library, by its name, or a file of your own, by a path that ends in .toml.

    A file may start from a shipped set with `extends = "NAME"` and give only what differs. ExchangeError names file and
    key where one is unknown, missing or impossible.
    """
    own = Path(name_or_path)
    file = own if own.suffix == ".toml" else _shipped(os.fspath(name_or_path))
    values = _read(file)
    for table, keys in _KEYS.items():
        for key in sorted(keys - values[table].keys()):
            raise _error(file, table, f"{key} is missing")
    head = values[""]
    for key, text in head.items():
        if not isinstance(text, str):
            raise _error(file, "", f"{key}: {text!r} is not a text")
    try:
        table = "dna"
        dna = DnaRule(**values["dna"], name=head["name"], basis=head["basis"])
        table = "dna.inclusion"
        inclusion = InclusionRule(**values["dna.inclusion"])
        table = "finger.max_candidates"
        finger = FingerRule(values["finger.max_candidates"])
    except ExchangeError as error:
        raise _error(file, table, str(error)) from None
    return Treaty(**head, dna=dna, inclusion=inclusion, finger=finger)


def _shipped(name: str) -> Path:
    if name not in treaties():
        known = ", ".join(treaties())
        raise ExchangeError(f"no treaty set is called {name!r}: take one of {known}, or the path of a .toml file")
    return _SHIPPED / f"{name}.toml"


def _read(file: Path) -> dict[str, dict[str, Any]]:
    """The values of each table of _KEYS, those of the extended set below the file's own."""
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ExchangeError(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ExchangeError(f"{file}: byte {error.start} is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ExchangeError(f"{file}: not TOML: {error}") from None  # the message has line and column
    base = content.pop("extends", None)
    if base is not None and not isinstance(base, str):
        raise _error(file, "", f"extends: {base!r} is not the name of a set")
    values = _read(_shipped(base)) if base is not None else {table: {} for table in _KEYS}
    values[""].pop("name", None)  # another set needs another name
    for table, keys in _KEYS.items():
        values[table] |= _table(file, content, table, keys)
    return values


def _table(file: Path, content: dict[str, Any], table: str, keys: set[str]) -> dict[str, Any]:
    """The file's own values of one table. Keys that name a table below are that table's affair."""
    for part in filter(None, table.split(".")):
        content = content.get(part, {})
        if not isinstance(content, dict):
            raise _error(file, "", f"{part}: {content!r} is not a table [{table}]")
    below = {other.removeprefix(table).strip(".").split(".")[0] for other in _KEYS if other.startswith(table)}
    for key in content.keys() - keys - below:
        raise _error(file, table, f"unknown key {key!r}; the keys are {', '.join(sorted(keys | below - {''}))}")
    return {key: _plain(value) for key, value in content.items() if key in keys}


def _plain(value: Any) -> Any:
    if value == _UNLIMITED:
        return None
    return tuple(value) if isinstance(value, list) else value


def _error(file: Path, table: str, reason: str) -> ExchangeError:
    return ExchangeError(f"{file}: {f'[{table}] ' if table else ''}{reason}")
