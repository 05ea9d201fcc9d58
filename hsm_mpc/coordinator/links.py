"""The holders of one roster, as a coordinator reaches them: asked all at once, by name blamed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Final, TypeVar

from hsm_mpc.coordinator.blame import NamedAbort, named_in
from hsm_mpc.errors import (
    BackendError,
    BadEncoding,
    HsmMpcError,
    NotReady,
    ProtocolAbort,
    QuorumUnreachable,
    Refused,
)
from hsm_mpc.roster import Roster
from hsm_mpc.wire.calls import HolderMethod
from hsm_mpc.wire.pieces import called
from hsm_mpc.wire.transport import Transport

ROUND_SECONDS: Final = 30.0
"""How long a round waits for an answer, unless configured otherwise (step 1.6.7)."""

CALLS_AT_ONCE: Final = 16
"""As many as a front takes."""

_Result = TypeVar("_Result")


class HoldersAbort(NamedAbort):
    """Holders say of others that they cheated: each one's word, as long as nothing proves it."""

    def __init__(self, message: str, words: Mapping[int, ProtocolAbort], roster: Roster) -> None:
        """`roster`: in which they were asked, and count."""
        blamed = [each for word in words.values() for each in word.culprits]
        super().__init__(message, named_in(roster, blamed))
        self.words: Final = dict(words)
        """What each of them says, by its index."""


class HolderLinks:
    """One link to the front of each holder that is known; used by several threads at once.

    Each holder has threads of its own: one that never answers keeps nobody else waiting.
    """

    def __init__(
        self,
        roster: Roster,
        links: Mapping[int, Transport],
        seconds: float = ROUND_SECONDS,
        pools: Mapping[int, ThreadPoolExecutor] | None = None,
    ) -> None:
        """`pools`: threads that are there already."""
        self.roster: Final = roster
        self._links = dict(links)
        self.seconds: Final = seconds
        """How long a round waits for an answer."""
        self._pools = pools or {
            index: ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix=self.name(index))
            for index in self.indices
        }

    def seated(self, roster: Roster) -> HolderLinks:
        """The same links, to the holders of a wallet by their places in its roster.

        Raises:
            BadInput: one of them is not known here.
        """
        if [*_names(roster)] == [*_names(self.roster)]:
            return self
        places = {k: self.roster.index_of(name) for k, name in enumerate(_names(roster), 1)}
        links = {k: self._links[place] for k, place in places.items() if place in self._links}
        pools = {k: self._pools[place] for k, place in places.items()}
        return HolderLinks(roster, links, self.seconds, pools)

    def places(self, seats: Iterable[int], roster: Roster) -> tuple[int, ...]:
        """Where holders of another roster stand in this one."""
        return tuple(self.roster.index_of(roster.member(seat).name) for seat in seats)

    @property
    def indices(self) -> range:
        """Of all holders."""
        return range(1, self.roster.n + 1)

    def name(self, index: int) -> str:
        """What people call holder `index`."""
        return self.roster.member(index).name

    def ask(
        self,
        index: int,
        method: HolderMethod,
        parts: Sequence[bytes],
        seconds: float | None = None,
    ) -> tuple[bytes, ...]:
        """The answer of holder `index`.

        Raises:
            BackendError: it does not answer; the message names it.
            HsmMpcError: what the holder says.
        """
        link = self._links.get(index)
        if link is None:
            raise BackendError(f"holder {self.name(index)} has no address here")
        try:
            return called(link, method, parts, self.seconds if seconds is None else seconds)
        except BackendError as silent:
            raise BackendError(
                f"holder {self.name(index)}: {silent}", retryable=silent.retryable
            ) from silent

    def submit(self, index: int, work: Callable[[], _Result]) -> Future[_Result]:
        """Do `work`, which asks holder `index`, on one of this holder's threads."""
        return self._pools[index].submit(work)

    def ask_all(
        self,
        method: HolderMethod,
        parts: Sequence[bytes],
        seconds: float | None = None,
    ) -> list[tuple[bytes, ...]]:
        """The answers of all holders, in roster order.

        Raises:
            HsmMpcError: the failure that says most, after all have answered or not: who cheated,
                else who refuses, else (QuorumUnreachable) all that do not answer.
        """
        return list(self.ask_some(self.indices, method, parts, seconds).values())

    def ask_some(
        self,
        among: Sequence[int],
        method: HolderMethod,
        parts: Sequence[bytes],
        seconds: float | None = None,
    ) -> dict[int, tuple[bytes, ...]]:
        """The answers of these holders, each of which is needed. Raises: as `ask_all`."""
        asked = self.ask_each(method, parts, seconds, among)
        failures = {
            index: answer for index, answer in asked.items() if isinstance(answer, HsmMpcError)
        }
        if failures:
            raise self._most_telling(failures)
        return {
            index: answer for index, answer in asked.items() if not isinstance(answer, HsmMpcError)
        }

    def ask_parts(
        self, among: Sequence[int], method: HolderMethod, parts: Sequence[bytes], count: int
    ) -> dict[int, tuple[bytes, ...]]:
        """`ask_some`, where every answer has `count` parts. Raises: BadEncoding: one has not."""
        answers = self.ask_some(among, method, parts)
        for index, answer in answers.items():
            if len(answer) != count:
                raise BadEncoding(
                    f"holder {self.name(index)} answers {method.name} with {len(answer)} parts"
                )
        return answers

    def ask_single(
        self, among: Sequence[int], method: HolderMethod, parts: Sequence[bytes]
    ) -> dict[int, bytes]:
        """`ask_parts`, where every answer is one message."""
        answers = self.ask_parts(among, method, parts, 1)
        return {index: message for index, (message,) in answers.items()}

    def ask_each(
        self,
        method: HolderMethod,
        parts: Sequence[bytes],
        seconds: float | None = None,
        among: Sequence[int] | None = None,
    ) -> dict[int, tuple[bytes, ...] | HsmMpcError]:
        """Answer or failure of each holder, or of those `among` them."""
        futures = {
            index: self.submit(index, partial(self.ask, index, method, parts, seconds))
            for index in (self.indices if among is None else among)
        }
        return {index: _outcome(future) for index, future in futures.items()}

    def close(self) -> None:
        """Give all links up."""
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)
        for link in self._links.values():
            link.close()

    def _most_telling(self, failures: Mapping[int, HsmMpcError]) -> HsmMpcError:
        aborts = {
            index: failure
            for index, failure in failures.items()
            if isinstance(failure, ProtocolAbort)
        }
        if aborts:
            said = "; ".join(f"{self.name(index)}: {abort}" for index, abort in aborts.items())
            return HoldersAbort(said, aborts, self.roster)
        for index, failure in failures.items():
            said = f"holder {self.name(index)}: {failure}"
            if isinstance(failure, Refused):
                return Refused(failure.rule, said)
            if not isinstance(failure, (BackendError, NotReady)):
                return type(failure)(said)
        reasons = "; ".join(str(failure) for failure in failures.values())
        return QuorumUnreachable(
            f"all {self.roster.n} holders are needed: {reasons}",
            [self.name(index) for index in failures],
        )


def _names(roster: Roster) -> Iterator[str]:
    return (member.name for member in roster.members)


def _outcome(future: Future[tuple[bytes, ...]]) -> tuple[bytes, ...] | HsmMpcError:
    try:
        return future.result()
    except HsmMpcError as failure:
        return failure
