"""One holder that lies about what it has adopted retires no second successor (step 6.1.3)."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.errors import ProtocolAbort
from hsm_mpc.store.record import EpochState
from hsm_mpc.succession.join import Adoption, Join
from hsm_mpc.succession.retirement import Retirement
from hsm_mpc.wire.envelope import parse_envelope, unbundled
from hsm_mpc.wire.rounds import PROPOSE
from tests.agent.making import Making
from tests.agent.refreshing import Refreshing
from tests.agent.simulate import Worlds

LIAR = 4

pytestmark = pytest.mark.usefixtures("shielded")


@pytest.fixture
def first(worlds: Worlds) -> Refreshing:
    """An attempt of holders 1, 2 and the liar, certified and not adopted, of a 2-of-4 wallet."""
    making = Making.of(worlds(4))
    certificate = making.active()
    first = Refreshing(making.world, certificate.body, (1, 2, LIAR), making.dones)
    first.made()
    return first


def following(refreshing: Refreshing, members: tuple[int, ...], attempts: int) -> Refreshing:
    """Another attempt to replace the same epoch."""
    return Refreshing(
        refreshing.world, refreshing.replaced, members, refreshing.first_dones, attempts=attempts
    )


def proposed(refreshing: Refreshing) -> None:
    content = refreshing.proposal()
    certificates = sorted(content.adopted, key=lambda each: hashlib.sha256(each).digest())
    content = replace(content, adopted=tuple(certificates))
    refreshing.propose = refreshing.said(PROPOSE, content.to_bytes())


def claimed(refreshing: Refreshing, adopted: Refreshing, attempt: Attempt) -> None:
    """All members join, and the liar says that it has adopted what another attempt made."""
    refreshing.begin()
    for index in refreshing.members:
        refreshing.join(index)
    assert adopted.certificate is not None
    certificate = adopted.certificate
    claim = Adoption(attempt, certificate.body.hash, certificate.digest)
    honest = parse_envelope(refreshing.answers[LIAR][0])
    payload = Join(refreshing.attempt, claim).to_bytes()
    acting = refreshing.world.parties[LIAR].acting
    lie = acting.signed_by_identity(honest.kind, honest.address, payload)
    done = refreshing.answers[LIAR][1]
    refreshing.answers[LIAR] = (lie, done, certificate.to_bytes(), b"")
    refreshing.certificate = certificate
    proposed(refreshing)


def test_an_adoption_that_never_was_is_not_carried_on(first: Refreshing) -> None:
    """W = 3: 1, 2 and 3 have adopted another successor, and 1 has retired into it."""
    world = first.world
    assert first.replaced.terms.sizes.adopt == 3
    second = following(first, (1, 2, 3), 1)
    second.made()
    dones = [second.adopt(index) for index in second.members]
    second.retirement = Retirement(tuple(dones)).to_bytes()
    second.retire(1)
    third = following(first, (2, 3, LIAR), 5)
    later = Attempt(world.clock() + 4, first.attempt.initiator)
    claimed(third, first, later)
    for index in (2, 3):
        with pytest.raises(ProtocolAbort, match="not proven") as abort:
            third.adopt(index, first.transcript)
        assert abort.value.culprits == ()
        second.retire(index)
        (held,) = world.parties[index].wallets.all()
        assert (held.body, held.record.state) == (second.successor, EpochState.ACTIVE)


def test_an_adoption_is_older_than_the_attempt_that_tells_of_it(first: Refreshing) -> None:
    second = following(first, (2, 3, LIAR), 5)
    claimed(second, first, Attempt(first.world.clock() + 6, first.attempt.initiator))
    with pytest.raises(ProtocolAbort, match="nothing was adopted before"):
        second.adopt(2)


def test_what_is_carried_on_again_and_again_is_proven_link_by_link(first: Refreshing) -> None:
    first.adopt(1)
    carrying = first
    for links, members in enumerate(((1, 2, 3), (2, 3, LIAR), (1, 2, LIAR))):
        before, carrying = carrying, following(first, members, carrying.attempts + 1)
        carrying.begin()
        for index in members:
            carrying.join(index)
        carrying.history = max((answer[3] for answer in carrying.answers.values()), key=len)
        assert len(unbundled(carrying.history)) == links
        assert links == 0 or unbundled(carrying.history)[0] == before.propose
        carrying.certificate = first.certificate
        proposed(carrying)
        if carrying.history:
            shown, carrying.history = carrying.history, b""
            with pytest.raises(ProtocolAbort, match="not proven"):
                carrying.adopt(2, first.transcript)
            carrying.history = shown
        carrying.adopt(2, first.transcript)
        first.world.restarted(2)
