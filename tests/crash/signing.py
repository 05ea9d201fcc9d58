"""Two holders sign, one of them with a fault; no nonce serves twice."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import coincurve

from hsm_mpc.errors import NotReady, Refused
from tests.agent.rounds import Round
from tests.crash.faults import Holders


@dataclass
class Signing:
    """What a relay has of all signatures that it ever asked for."""

    holders: Holders
    channel_of: dict[bytes, bytes] = field(default_factory=dict)
    """The channel of a COMMIT's holder, as it was then."""

    def sign(self, round_: Round, pair: tuple[int, int], lost: bool = False) -> set[int]:
        """Who of them has given its part; if both have, it is a signature. `lost`: of the first a
        COMMIT of long ago is used, if there is one.
        """
        one, other = pair
        if not lost or one not in round_.commits:
            self.commit(round_, one)
        self.commit(round_, other)
        return self.partials(round_, pair) if {one, other} <= round_.commits.keys() else set()

    def commit(self, round_: Round, index: int) -> None:
        if self.holders.ask(index, lambda: round_.commit(index)) is not None:
            commit = round_.commits[index]
            self.holders.book.commit(index, round_.session_id, commit)
            self.channel_of[commit] = self._channel(index)

    def partials(self, round_: Round, pair: tuple[int, int]) -> set[int]:
        """Both are asked for their part of one list; who of them has given it."""
        commits = {index: round_.commits[index] for index in sorted(pair)}
        listed = round_.listed(tuple(commits.values()))
        channels = [self.channel_of[commit] for commit in commits.values()]
        answers = {}
        for index in pair:
            desk = self.holders.world.parties[index].desk
            answered = self.holders.ask(index, partial(desk.sign, listed, channels))
            if answered is not None:
                (answers[index],) = answered
                self.holders.book.partial(commits[index], answers[index])
        if answers.keys() == commits.keys():
            with suppress(NotReady, Refused):  # who repeats it long after has forgotten the key
                signature, key = round_.signature(answers)
                assert coincurve.PublicKeyXOnly(key).verify(signature, round_.message)
                self.holders.calls["signatures"] += 1
        return {*answers}

    def _channel(self, index: int) -> bytes:
        return self.holders.phoenixes[index].party.acting.channel_announcement()
