"""The partner directory: what each state may ask of this one, and how much in a day.

A TOML file has a table for each state that may ask:

    [AT]
    may = ["dna-3", "dna-4", "TP/TP", "LT/TP", "vehicles"]
    [AT.quotas]             # searches a day, UTC; what is not named has no limit
    "TP/TP" = 100
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from pcc_match.errors import ExchangeError
from pcc_match.treaties import Treaty
from pcc_match.treaties.search_types import SEARCH_TYPES

# What a partner may be authorised for and what quotas count: DNA by the article of Decision 2008/615/JHA.
ASKED: Final = ("dna-3", "dna-4", *SEARCH_TYPES, "vehicles")


@dataclass(frozen=True)
class Partner:
    """One state."""

    code: str  # as the treaty set has it
    may: frozenset[str]  # of ASKED
    quotas: Mapping[str, int] = field(default_factory=dict)  # by kind of search


@dataclass(frozen=True)
class Partners:
    """All states that may ask, by code."""

    states: Mapping[str, Partner]

    @classmethod
    def read(cls, path: str | os.PathLike[str], treaty: Treaty) -> Self:
        """A directory from its file; ExchangeError names file, state and key where one is unknown or impossible."""
        try:
            content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise ExchangeError(f"{path}: cannot be read: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise ExchangeError(f"{path}: byte {error.start} is not UTF-8") from None
        except tomllib.TOMLDecodeError as error:
            raise ExchangeError(f"{path}: not TOML: {error}") from None
        states: dict[str, Partner] = {}
        for written, values in content.items():
            code = treaty.states.code(written)
            if code is None or code in states:
                wrong = f"is no state of {treaty.name}" if code is None else "is there twice"
                raise ExchangeError(f"{path}: [{written}] {wrong}")
            try:
                states[code] = _partner(code, values)
            except ExchangeError as error:
                raise ExchangeError(f"{path}: [{written}] {error}") from None
        return cls(states)

    @classmethod
    def everyone(cls, treaty: Treaty) -> Self:
        """Every state of the treaty may ask everything, without quotas."""
        return cls({code: Partner(code, frozenset(ASKED)) for code in treaty.states.aliases})


def _partner(code: str, values: Any) -> Partner:
    if not isinstance(values, dict):
        raise ExchangeError(f"{values!r} is not a table")
    unknown = values.keys() - {"may", "quotas"}
    if unknown:
        raise ExchangeError(f"unknown key {min(unknown)!r}; the keys are may, quotas")
    may, quotas = values.get("may", []), values.get("quotas", {})
    if not isinstance(may, list) or not all(isinstance(each, str) and each in ASKED for each in may):
        raise ExchangeError(f"may: {may!r} is not a list of some of {', '.join(ASKED)}")
    if not isinstance(quotas, dict):
        raise ExchangeError(f"quotas: {quotas!r} is not a table")
    for kind, number in quotas.items():
        if kind not in may or type(number) is not int or number < 0:
            raise ExchangeError(f"quotas: {kind} = {number!r} is not a number of searches of a kind that it may ask")
    return Partner(code, frozenset(may), quotas)
