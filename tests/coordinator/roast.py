"""A relay of holders in memory around the quorum machine: random delivery, any kind of liar.

Curve operations are left out: a partial signature is right if it is the hash of its holder and
list. What the real scheme adds is tested in tests/protocols and once in test_quorum.py.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hsm_mpc.coordinator.quorum import Quorum
from hsm_mpc.coordinator.quorum_actions import (
    Action,
    Ask,
    Exclude,
    Fail,
    Publish,
    Send,
    Suspect,
)
from hsm_mpc.errors import BadEncoding, InvalidSignature, ProtocolAbort
from hsm_mpc.protocols.signing_messages import Commitment, PartialPayload, SignPayload, list_hash
from hsm_mpc.protocols.wallet_key import AggregatedList

NOT_A_POINT = b"not a point"
WRONG = b"wrong".ljust(32, b".")


def any_set(_: frozenset[int]) -> bool:
    return True


def commitment(index: int, number: int, nonce: bytes | None = None, k: int = 0) -> Commitment:
    """The number-th COMMIT of a holder."""
    lease_id = f"lease {index}-{number}".ljust(16, ".").encode()
    nonce = f"nonce {index}-{number}".encode() if nonce is None else nonce
    return Commitment(index, k, lease_id, nonce, b"|".join((lease_id, nonce)))


def right(index: int, commits: Iterable[Commitment]) -> bytes:
    """The partial signature of `index` under a list."""
    named = b"".join(bytes([entry.index]) + entry.lease_id for entry in commits)
    return hashlib.sha256(bytes([index]) + named).digest()


class HashList:
    """One list of the hash scheme."""

    def __init__(self, listed: Sequence[Commitment]) -> None:
        self._listed = listed
        self.verified: list[int] = []

    def verify(self, index: int, signature: bytes) -> None:
        self.verified.append(index)
        if signature != right(index, self._listed):
            raise ProtocolAbort(f"the partial signature of holder {index} is wrong", [index])

    def signature(self, signatures: Mapping[int, bytes]) -> bytes:
        assert signatures.keys() == {entry.index for entry in self._listed}
        if any(signatures[i] != right(i, self._listed) for i in signatures):
            raise InvalidSignature("the sum is wrong")
        return b"signature by " + bytes(sorted(signatures))


class HashScheme:
    """`wallet_key.Aggregation` without curves; remembers what was opened."""

    def __init__(self) -> None:
        self.lists: list[HashList] = []

    def parse_nonce(self, encoded: bytes) -> bytes:
        if encoded == NOT_A_POINT:
            raise BadEncoding("no point")
        return encoded

    def open(self, listed: Sequence[Commitment]) -> AggregatedList:
        assert [entry.index for entry in listed] == sorted({entry.index for entry in listed})
        assert len({entry.public_nonce for entry in listed}) == len(listed)
        self.lists.append(HashList(listed))
        return self.lists[-1]


Event = Callable[[], Sequence[Action]]


class Holder:
    """An honest holder."""

    honest = True

    def __init__(self, index: int, relay: Relay) -> None:
        self.index = index
        self.relay = relay
        self.made = 0

    def on_request(self) -> None:
        self.relay.queue(self.offered())

    def on_sign(self, payload: bytes) -> None:
        self.relay.queue(self.answered(payload, self.signature(payload)))

    def offered(self, nonce: bytes | None = None) -> Event:
        self.made += 1
        entry = commitment(self.index, self.made, nonce)
        self.relay.commits[entry.message] = entry
        return lambda: self.relay.machine.on_commit(entry)

    def listed(self, payload: bytes) -> list[Commitment]:
        return [self.relay.commits[message] for message in SignPayload.from_bytes(payload).commits]

    def signature(self, payload: bytes) -> bytes:
        return right(self.index, self.listed(payload))

    def answered(self, payload: bytes, signature: bytes) -> Event:
        own = next(entry for entry in self.listed(payload) if entry.index == self.index)
        partial = PartialPayload(own.lease_id, list_hash(payload), signature)
        return lambda: self.relay.machine.on_partial(self.index, partial, partial.to_bytes())


class Riding(Holder):
    """Honest; its next COMMIT rides on the PARTIAL."""

    def on_sign(self, payload: bytes) -> None:
        answer, offer = self.answered(payload, self.signature(payload)), self.offered()
        self.relay.queue(lambda: [*answer(), *offer()])


class Liar(Holder):
    honest = False


class Silent(Liar):
    """Never says anything; some day the transport notices."""

    def on_request(self) -> None:
        self.relay.queue(lambda: self.relay.machine.on_silence(self.index))

    def on_sign(self, payload: bytes) -> None:
        raise AssertionError("it offered nothing")


class MuteAfterCommit(Liar):
    """Offers and never answers."""

    def on_sign(self, payload: bytes) -> None:
        self.relay.queue(lambda: self.relay.machine.on_silence(self.index))


class BadNonce(Liar):
    """Commits to no point."""

    def on_request(self) -> None:
        self.relay.queue(self.offered(NOT_A_POINT))


class BadPartial(Liar):
    """Answers wrongly, with its next offer at once."""

    def on_sign(self, payload: bytes) -> None:
        answer, offer = self.answered(payload, WRONG), self.offered()
        self.relay.queue(lambda: [*answer(), *offer()])


class Late(Liar):
    """Honest words, but only when nobody else has anything to say."""

    def on_request(self) -> None:
        self.relay.later.append(self.offered())

    def on_sign(self, payload: bytes) -> None:
        self.relay.later.append(self.answered(payload, self.signature(payload)))


class Refuser(Liar):
    """Offers, and then says that it has no such lease; its words come first."""

    def on_request(self) -> None:
        self.relay.first.append(self.offered())

    def on_sign(self, payload: bytes) -> None:
        machine = self.relay.machine
        self.relay.first.append(lambda: machine.on_lost_lease(self.index, payload))


class Hoarder(Liar):
    """Offers again and again and answers nothing; its offers come first."""

    def on_request(self) -> None:
        self.relay.first.append(self.offered())

    def on_sign(self, payload: bytes) -> None:
        if self.made < 50:
            self.relay.first.append(self.offered())


class Copycat(Liar):
    """Offers nonces of others that it saw in lists, under new leases; answers nothing."""

    def on_sign(self, payload: bytes) -> None:
        other = next(entry for entry in self.listed(payload) if entry.index != self.index)
        self.relay.queue(self.offered(other.public_nonce))


class Decliner(Liar):
    """Its policy says no."""

    def on_request(self) -> None:
        self.relay.queue(lambda: self.relay.machine.on_declined(self.index, "permission"))


LIARS: tuple[type[Liar], ...] = (
    Silent,
    MuteAfterCommit,
    BadNonce,
    BadPartial,
    Late,
    Refuser,
    Hoarder,
    Copycat,
    Decliner,
)


@dataclass
class Outcome:
    """What a run did."""

    signature: bytes | None = None
    failed: Mapping[int, str] | None = None
    excluded: dict[int, Exclude] = field(default_factory=dict)
    suspected: list[Suspect] = field(default_factory=list)
    sent: list[Send] = field(default_factory=list)
    asked: dict[int, int] = field(default_factory=dict)


class Relay:
    """Delivers what holders send in a random order, each message once."""

    def __init__(
        self,
        t: int,
        kinds: Mapping[int, type[Holder]],
        seed: object,
        allowed: Callable[[frozenset[int]], bool] = any_set,
    ) -> None:
        self.random = random.Random(f"{seed}")
        self.scheme = HashScheme()
        self.machine = Quorum(t, len(kinds), 0, self.scheme, allowed)
        self.holders = {index: kind(index, self) for index, kind in kinds.items()}
        self.commits: dict[bytes, Commitment] = {}
        self.first: list[Event] = []
        self.pending: list[Event] = []
        self.later: list[Event] = []
        self.outcome = Outcome()

    def queue(self, event: Event) -> None:
        self.pending.append(event)

    def run(self) -> Outcome:
        self.carry_out(self.machine.start())
        for _ in range(5000):
            if self.machine.finished:
                return self.outcome
            waiting = self.first or self.pending or self.later
            if not waiting:
                return self.outcome
            self.carry_out(waiting.pop(self.random.randrange(len(waiting)))())
        raise AssertionError("the machine does not come to an end")

    def carry_out(self, actions: Iterable[Action]) -> None:
        for action in actions:
            assert self.outcome.signature is None, "something follows the signature"
            match action:
                case Ask(index):
                    self.outcome.asked[index] = self.outcome.asked.get(index, 0) + 1
                    self.holders[index].on_request()
                case Send(signers, payload):
                    self.outcome.sent.append(action)
                    for index in signers:
                        self.holders[index].on_sign(payload)
                case Exclude(index):
                    self.outcome.excluded[index] = action
                case Suspect():
                    self.outcome.suspected.append(action)
                case Publish(signature):
                    self.outcome.signature = signature
                case Fail(reasons):
                    self.outcome.failed = reasons
