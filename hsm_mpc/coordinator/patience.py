"""How long holders are waited for about one attempt, all that each is asked taken together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from time import monotonic

from hsm_mpc.coordinator.links import HolderLinks
from hsm_mpc.errors import BackendError, HsmMpcError
from hsm_mpc.wire.calls import HolderMethod

_Answer = tuple[bytes, ...] | HsmMpcError


class Patience:
    """Each holder has the seconds of one round for all its answers, and they are its own: nobody
    else's answer costs it any. Who has used them up, or not answered once, is asked nothing more.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._left: dict[str, float] = {}
        """By name: who accuses and who judges may count in two rosters."""

    def asked(
        self, links: HolderLinks, method: HolderMethod, parts: Sequence[bytes], among: Iterable[int]
    ) -> dict[int, _Answer]:
        """What each of them says, asked at once, as far as it is waited for."""
        left = {index: self._left_of(links.name(index)) for index in among}
        began = monotonic()
        futures = {
            index: links.submit(index, partial(_timed, links, index, method, parts, seconds))
            for index, seconds in left.items()
            if seconds > 0
        }
        answers = dict[int, _Answer]()
        for index, future in futures.items():
            try:
                answer, ended = future.result(max(0.0, began + left[index] - monotonic()))
            except TimeoutError:  # it waits behind other calls of this holder, or has many pieces
                future.cancel()
                answer, ended = BackendError(f"holder {links.name(index)} is too slow"), began
            is_silent = isinstance(answer, BackendError)
            self._left[links.name(index)] = 0 if is_silent else left[index] - (ended - began)
            answers[index] = answer
        return answers

    def _left_of(self, name: str) -> float:
        return self._left.get(name, self._seconds)


def _timed(
    links: HolderLinks, index: int, method: HolderMethod, parts: Sequence[bytes], seconds: float
) -> tuple[_Answer, float]:
    """What the holder says, and when it has."""
    try:
        answer: _Answer = links.ask(index, method, parts, seconds)
    except HsmMpcError as failure:
        answer = failure
    return answer, monotonic()
