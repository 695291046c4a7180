"""What a treaty asks of the exchange itself: times, amounts, logs, and what a match allows to follow."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pcc_match.errors import ExchangeError


@dataclass(frozen=True)
class ExchangeRule:
    """What holds for every category of data."""

    log_years: int  # how long each supply and receipt stays on record; then it is deleted
    repeat_window_hours: int  # how long an answer is kept for a request that is sent again
    purposes: tuple[str, ...]  # what a request may be for
    justification: bool  # whether a search needs the record of purpose, case and person sought
    manual_confirmation: bool  # whether a person must confirm a match before anything follows from it

    def __post_init__(self) -> None:
        check_whole(self, "log_years", "repeat_window_hours")
        check_texts(self, "purposes")
        check_flags(self, "justification", "manual_confirmation")


@dataclass(frozen=True)
class States:
    """Who takes part: codes of ISO 3166-1 alpha-2, each with the other codes that are in use for the state."""

    aliases: Mapping[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        for code, others in self.aliases.items():
            if not isinstance(others, tuple) or not all(map(_is_code, (code, *others))):
                raise ExchangeError(f"{code}: {others!r} is not a list of codes of two capital letters")

    def code(self, written: str) -> str | None:
        """The state's own code for a code as a message writes it; None for no state of this treaty."""
        return next((code for code, others in self.aliases.items() if written in (code, *others)), None)


@dataclass(frozen=True)
class DnaMessages:
    """Requests and answers about DNA profiles."""

    max_profiles: int  # that one request may ask for
    answer_within_minutes: int | None  # of the request's arrival

    def __post_init__(self) -> None:
        check_whole(self, "max_profiles")
        check_whole(self, "answer_within_minutes", unlimited=True)


@dataclass(frozen=True)
class Messages:
    """Requests and answers of another category."""

    answer_within_minutes: int | None  # of the request's arrival

    def __post_init__(self) -> None:
        check_whole(self, "answer_within_minutes", unlimited=True)


@dataclass(frozen=True)
class CoreData:
    """What may be supplied about a person after a confirmed match."""

    person: tuple[str, ...]  # elements about an identified person
    trace: tuple[str, ...]  # elements where only a trace matched
    within_hours: int | None  # of the confirmation and the description of the offence

    def __post_init__(self) -> None:
        check_texts(self, "person")
        check_texts(self, "trace", least=0)
        check_whole(self, "within_hours", unlimited=True)


# ---- Impossible values


def check_whole(rule: object, *names: str, unlimited: bool = False) -> None:
    """ExchangeError, naming the key, unless each value is a whole number of at least 1, or None where that may be."""
    for name in names:
        value = getattr(rule, name)
        if not (value is None and unlimited) and (type(value) is not int or value < 1):
            written = "no limit" if value is None else repr(value)
            raise ExchangeError(f"{name}: {written} is not a whole number, 1 or more")


def check_texts(rule: object, *names: str, least: int = 1) -> None:
    """ExchangeError, naming the key, unless each value is a tuple of at least `least` different texts."""
    for name in names:
        value: Any = getattr(rule, name)
        texts = value if isinstance(value, tuple) and all(isinstance(text, str) and text for text in value) else ()
        if (texts or value) != value or len(set(texts)) != len(texts) or len(texts) < least:
            raise ExchangeError(f"{name}: {value!r} is not a list of different texts")


def check_flags(rule: object, *names: str) -> None:
    """ExchangeError, naming the key, unless each value is true or false."""
    for name in names:
        if type(getattr(rule, name)) is not bool:
            raise ExchangeError(f"{name}: {getattr(rule, name)!r} is neither true nor false")


def _is_code(text: Any) -> bool:
    return isinstance(text, str) and len(text) == 2 and text.isascii() and text.isalpha() and text.isupper()
