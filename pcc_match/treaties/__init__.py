"""Treaty sets: what a treaty asks of comparisons and of the exchange, as data in the TOML files beside this one."""

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from pcc_match.dna.rule import DnaRule, InclusionRule
from pcc_match.errors import ExchangeError
from pcc_match.treaties.exchange import CoreData, DnaMessages, ExchangeRule, Messages, States
from pcc_match.treaties.search_types import SEARCH_TYPES, FingerRule

_Rule = TypeVar("_Rule")

_SHIPPED: Final = Path(__file__).parent
_UNLIMITED: Final = "unlimited"  # TOML has no word for "none"
_UNPUBLISHED: Final = "unpublished"  # the one key of a table that no published act fills: it names the article


@dataclass(frozen=True)
class Treaty:
    """One parameter set.

    A table that no published act states is not in it: reading it raises ExchangeError, which names the article that
    leaves it open and says where a user's own values go.
    """

    name: str
    title: str
    basis: str  # the legal text
    _tables: Mapping[str, Any] = field(repr=False)  # by the names of _TABLES: the rule, or the text of what is missing

    @property
    def dna(self) -> DnaRule:
        """When two DNA profiles match."""
        return self._stated("dna", DnaRule)

    @property
    def inclusion(self) -> InclusionRule:
        """What a DNA profile needs to be exchanged."""
        return self._stated("dna.inclusion", InclusionRule)

    @property
    def finger(self) -> FingerRule:
        """The limits of searches of prints."""
        return self._stated("finger.max_candidates", FingerRule)

    @property
    def exchange(self) -> ExchangeRule:
        """Logs, repeats, purposes, confirmation."""
        return self._stated("exchange", ExchangeRule)

    @property
    def states(self) -> States:
        """Who takes part."""
        return self._stated("exchange.states", States)

    @property
    def dna_messages(self) -> DnaMessages:
        """Size and deadline of messages about DNA."""
        return self._stated("exchange.dna", DnaMessages)

    @property
    def dactyloscopic_messages(self) -> Messages:
        """Deadline of dactyloscopic transactions."""
        return self._stated("exchange.dactyloscopic", Messages)

    @property
    def vehicle_messages(self) -> Messages:
        """Deadline of messages about vehicles."""
        return self._stated("exchange.vehicles", Messages)

    @property
    def core_data(self) -> CoreData:
        """What follows a confirmed match."""
        return self._stated("exchange.core_data", CoreData)

    def _stated(self, table: str, kind: type[_Rule]) -> _Rule:
        rule = self._tables[table]
        if not isinstance(rule, kind):
            raise ExchangeError(f"treaty set {self.name}: [{table}]: {rule}")
        return rule


class _Table(NamedTuple):
    """A table of a treaty file: its keys (None: the file's own, state codes), and the rule that its values make."""

    keys: frozenset[str] | None
    make: Callable[[dict[str, Any]], Any]


def _table_of(rule: type, *, without: frozenset[str] = frozenset()) -> _Table:
    return _Table(frozenset(field.name for field in fields(rule)) - without, lambda values: rule(**values))


# Each table of a treaty file; a set that extends another may leave any key out. A table whose name goes on another's
# lies below it.
_TABLES: Final = {
    "": _Table(frozenset({"name", "title", "basis"}), dict),
    "dna": _table_of(DnaRule, without=frozenset({"name", "basis"})),
    "dna.inclusion": _table_of(InclusionRule),
    "finger": _Table(frozenset(), dict),  # no key of its own
    "finger.max_candidates": _Table(frozenset(SEARCH_TYPES), FingerRule),
    "exchange": _table_of(ExchangeRule),
    "exchange.states": _Table(None, States),
    "exchange.dna": _table_of(DnaMessages),
    "exchange.dactyloscopic": _table_of(Messages),
    "exchange.vehicles": _table_of(Messages),
    "exchange.core_data": _table_of(CoreData),
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
    return _loaded(own) if own.suffix == ".toml" else _shipped_set(os.fspath(name_or_path))


@cache  # a shipped file does not change
def _shipped_set(name: str) -> Treaty:
    return _loaded(_shipped(name))


def _loaded(file: Path) -> Treaty:
    values = _read(file)
    head = values[""]
    for key, text in head.items():
        if not isinstance(text, str):
            raise _error(file, "", f"{key}: {text!r} is not a text")
    rules: dict[str, Any] = {}
    for table, (keys, make) in _TABLES.items():
        given = values[table]
        if not given and table:
            rules[table] = f"{file} does not have this table"
        elif _UNPUBLISHED in given:
            rules[table] = (
                f"no published act states this: {given[_UNPUBLISHED]}. Values that your parties have agreed on go "
                f'into a file of your own, extends = "{head["name"]}"'
            )
        else:
            for key in sorted((keys or set()) - given.keys()):
                raise _error(file, table, f"{key} is missing")
            try:
                rules[table] = make(given)
            except ExchangeError as error:
                raise _error(file, table, str(error)) from None
    if isinstance(rules["dna"], DnaRule):
        rules["dna"] = replace(rules["dna"], name=head["name"], basis=head["basis"])
    return Treaty(**head, _tables=rules)


def _shipped(name: str) -> Path:
    if name not in treaties():
        known = ", ".join(treaties())
        raise ExchangeError(f"no treaty set is called {name!r}: take one of {known}, or the path of a .toml file")
    return _SHIPPED / f"{name}.toml"


def _read(file: Path) -> dict[str, dict[str, Any]]:
    """The values of each table of _TABLES, those of the extended set below the file's own."""
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
    values = _read(_shipped(base)) if base is not None else {table: {} for table in _TABLES}
    values[""].pop("name", None)  # another set needs another name
    for table, (keys, _) in _TABLES.items():
        own = _table(file, content, table, keys)
        anew = keys is None or _UNPUBLISHED in own.keys() | values[table].keys()
        values[table] = own if own and anew else values[table] | own
    return values


def _table(file: Path, content: dict[str, Any], table: str, keys: frozenset[str] | None) -> dict[str, Any]:
    """The file's own values of one table. Keys that name a table below are that table's affair."""
    for part in filter(None, table.split(".")):
        content = content.get(part, {})
        if not isinstance(content, dict):
            raise _error(file, "", f"{part}: {content!r} is not a table [{table}]")
    below = {other.removeprefix(table).strip(".").split(".")[0] for other in _TABLES if other.startswith(table)} - {""}
    own = {key: _plain(value) for key, value in content.items() if key not in below}
    if table and _UNPUBLISHED in own:
        if len(own) > 1 or not isinstance(own[_UNPUBLISHED], str):
            raise _error(file, table, f"{_UNPUBLISHED} stands alone, with the article as its text")
    elif keys is not None:
        for key in own.keys() - keys:
            raise _error(file, table, f"unknown key {key!r}; the keys are {', '.join(sorted(keys | below))}")
    return own


def _plain(value: Any) -> Any:
    if value == _UNLIMITED:
        return None
    return tuple(value) if isinstance(value, list) else value


def _error(file: Path, table: str, reason: str) -> ExchangeError:
    return ExchangeError(f"{file}: {f'[{table}] ' if table else ''}{reason}")
