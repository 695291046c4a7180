"""Any sequence of what a node does with its ledger, against a model of plain Python."""

import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule
from ledger_cases import DAY, MATCH, NOON, problems, record

from pcc_match.errors import ExchangeError, RefusalError
from pcc_match.exchange.audit import AuditRecord
from pcc_match.exchange.heads import Head
from pcc_match.exchange.ledger import Ledger
from pcc_match.exchange.ledger_file import QUOTA_DAYS

IDS = st.sampled_from(["r1", "r2", "r3"])
PARTNERS = st.sampled_from(["AT", "HU"])
MESSAGES = st.sampled_from([b"one", b"two"])
YEAR = timedelta(days=366)


@dataclass
class Kept:
    """A record in the model; match: the record number and place that a decision is about."""

    event: str
    until: datetime
    match: tuple[int, int] | None = None


class Model(RuleBasedStateMachine):
    heads = Bundle("heads")

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "ledger"
        self.now = NOON
        self.ledger = Ledger.open(self.path, create=True)
        self.kept: dict[int, Kept | None] = {1: None}  # None: a control record
        self.deleted: set[int] = set()
        self.held: set[int] = set()
        self.stored: dict[tuple[str, str], tuple[bytes, bytes | None, datetime, int]] = {}  # message, answer, until
        self.asked: dict[tuple[str, str], int] = {}
        self.taken: dict[tuple[str, str], tuple[bytes, list[str], int]] = {}
        self.used: Counter[tuple[str, str, str]] = Counter()
        self.states: dict[tuple[int, int], str] = {}

    def record(self, event: str, partner: str, id: str, **values: object) -> AuditRecord:
        return record(event, partner=partner, request_id=id, received_at=self.now, **values)

    def keep(self, event: str, match: tuple[int, int] | None = None, years: int = 2) -> int:
        number = len(self.kept) + 1
        self.kept[number] = Kept(event, self.now.replace(year=self.now.year + years), match)
        self.forget_answers()
        return number

    def forget_answers(self) -> bool:
        late = [key for key, (_, answer, until, _) in self.stored.items() if answer is not None and until < self.now]
        for key in late:
            message, _, until, number = self.stored[key]
            self.stored[key] = (message, None, until, number)
        return bool(late)

    def day(self, direction: str, partner: str) -> tuple[str, str, str]:
        return self.now.date().isoformat(), direction, partner

    # ---- what a node does

    @rule(partner=PARTNERS, id=IDS, message=MESSAGES, searches=st.integers(0, 3), matches=st.integers(0, 2))
    def answer(self, partner: str, id: str, message: bytes, searches: int, matches: int) -> None:
        made = self.record("answered", partner, id, searches=searches, matches=(MATCH,) * matches)
        new = b"answer %d" % len(self.kept)
        expected: bytes | str = new
        first, answer, until, _ = self.stored.get((partner, id), (message, new, self.now, 0))
        if first != message:
            expected = "other message"
        elif (partner, id) in self.stored:
            expected = "window" if answer is None or self.now > until else answer
        elif self.used[self.day("in", partner)] + searches > 4:
            expected = "quota"
        try:
            given: bytes | str = self.ledger.answer(made, message, new, repeat_window=DAY, quota=4)
        except RefusalError as refusal:
            given = refusal.cause
        assert given == expected
        number = self.keep("refused" if isinstance(expected, str) else "answered" if expected == new else "repeated")
        if expected == new:
            self.stored[partner, id] = (message, new, self.now + DAY, number)
            self.used[self.day("in", partner)] += searches
            self.states |= {(number, place): "match" for place in range(1, matches + 1)}

    @rule(partner=PARTNERS, id=IDS, message=MESSAGES)
    def repeat(self, partner: str, id: str, message: bytes) -> None:
        first, answer, until, _ = self.stored.get((partner, id), (message, None, None, 0))
        late = until is not None and (answer is None or self.now > until)
        expected = "other message" if first != message else "window" if late else answer
        try:
            given: bytes | str | None = self.ledger.repeat(self.record("answered", partner, id), message)
        except RefusalError as refusal:
            given = refusal.cause
        assert given == expected
        if expected is not None:
            self.keep("refused" if isinstance(expected, str) else "repeated")

    @rule(partner=PARTNERS, id=IDS)
    def ask(self, partner: str, id: str) -> None:
        over = self.used[self.day("out", partner)] + 1 > 2
        expected = "other message" if (partner, id) in self.asked else "quota" if over else "asked"
        try:
            self.ledger.ask(self.record("asked", partner, id), b"request", quota=2)
            outcome = "asked"
        except RefusalError as refusal:
            outcome = refusal.cause
        assert outcome == expected
        number = self.keep("asked" if outcome == "asked" else "refused")
        if outcome == "asked":
            self.asked[partner, id] = number
            self.used[self.day("out", partner)] += 1

    @rule(partner=PARTNERS, id=IDS, message=MESSAGES, matches=st.integers(0, 2))
    def receive(self, partner: str, id: str, message: bytes, matches: int) -> None:
        made = self.record("received", partner, id, matches=(MATCH,) * matches)
        known = self.taken.get((partner, id))
        try:
            ids = self.ledger.receive(made, message)
        except RefusalError:
            assert (partner, id) not in self.asked or (known is not None and known[0] != message)
            self.keep("refused")
            return
        assert (partner, id) in self.asked
        if known is not None:
            assert (message, ids) == known[:2]
            return
        number = self.keep("received")
        assert ids == [f"{number}.{place}" for place in range(1, matches + 1)]
        self.taken[partner, id] = (message, ids, number)
        self.states |= {(number, place): "match" for place in range(1, matches + 1)}

    @rule(data=st.data(), event=st.sampled_from(["confirmed", "rejected", "core data"]))
    def decide(self, data: st.DataObject, event: str) -> None:
        if not self.states:
            return
        number, place = data.draw(st.sampled_from(sorted(self.states)))
        before = {"confirmed": "match", "rejected": "match", "core data": "hit"}[event]
        try:
            self.ledger.decide(f"{number}.{place}", self.record(event, "AT", "r1"))
        except ExchangeError:
            assert self.states[number, place] != before
        else:
            assert self.states[number, place] == before
            self.states[number, place] = {"confirmed": "hit"}.get(event, event)
            self.keep(event, (number, place))

    # ---- time

    @rule(step=st.sampled_from([timedelta(hours=1), timedelta(hours=13), 3 * DAY, YEAR]))
    def wait(self, step: timedelta) -> None:
        self.now += step

    @rule(data=st.data())
    def hold(self, data: st.DataObject) -> None:
        live = sorted(n for n, kept in self.kept.items() if kept and n not in self.deleted)
        some = data.draw(st.sets(st.sampled_from(live), max_size=2)) if live else set()
        lift = data.draw(st.booleans())
        (self.ledger.lift if lift else self.ledger.hold)(some, "court")
        self.held = self.held - some if lift else self.held | some
        self.kept[len(self.kept) + 1] = None

    @rule()
    def purge(self) -> None:
        due = {
            number
            for number, kept in self.kept.items()
            if kept and number not in self.deleted and kept.until <= self.now and number not in self.held
            if not (kept.match and kept.match[0] in self.held)
        }
        assert self.ledger.purge(self.now) == len(due)
        self.deleted |= due
        self.states = {place: state for place, state in self.states.items() if place[0] not in due}
        self.stored = {key: each for key, each in self.stored.items() if each[3] not in due}
        self.taken = {key: each for key, each in self.taken.items() if each[2] not in due}
        self.asked = {key: number for key, number in self.asked.items() if number not in due}
        before = (self.now.date() - timedelta(QUOTA_DAYS)).isoformat()
        old = [key for key, used in self.used.items() if key[0] < before and used]
        for key in old:
            del self.used[key]
        if self.forget_answers() or due or old:
            self.kept[len(self.kept) + 1] = None

    # ---- what must hold

    @rule(target=heads)
    def take_head(self) -> Head:
        return self.ledger.head()

    @rule(head=consumes(heads))
    def against_a_head(self, head: Head) -> None:
        assert problems(self.path, head) == []

    @rule()
    def reopen(self) -> None:
        self.ledger.close()
        assert problems(self.path) == []
        self.ledger = Ledger.open(self.path)

    @invariant()
    def as_the_model(self) -> None:
        found = {entry.number: entry for entry in self.ledger.entries()}
        assert found.keys() == self.kept.keys()
        for number, kept in self.kept.items():
            content = found[number].content
            assert (content is None) == (number in self.deleted)
            if kept and content:
                assert content["event"] == kept.event
        for partner in ("AT", "HU"):
            made = self.record("answered", partner, "r1")
            assert self.ledger.used(made) == self.used[self.day("in", partner)]
        states = {match.id: match.state for match in self.ledger.matches()}
        assert states == {f"{number}.{place}": state for (number, place), state in self.states.items()}
        assert self.ledger.held() == self.held

    def teardown(self) -> None:
        self.ledger.close()
        assert problems(self.path) == []
        shutil.rmtree(self.folder)


TestLedger = Model.TestCase
TestLedger.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
