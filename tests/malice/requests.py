"""REQUEST before holders, and what a coordinator shows a client as its signature or its wallet."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from hsm_mpc.client.known import KnownWallets
from hsm_mpc.client.verified import VerifiedEnd, VerifiedWallet
from hsm_mpc.client.wallets import WalletClient
from hsm_mpc.ids import Scheme
from hsm_mpc.requests import Request, RequestType, UnsignedRequest
from hsm_mpc.tags import Tag
from hsm_mpc.taproot.derivation import Path
from hsm_mpc.wire.wallet_calls import Shown, indices_to_bytes
from tests.agent.rounds import Round
from tests.agent.simulate import World
from tests.malice import fields
from tests.malice.bench import BY_SENDER, COORDINATOR, ON_THE_WAY, RELAY, recorded
from tests.malice.ceremony import NOWHERE, Shows, finished
from tests.malice.desk import Desk
from tests.malice.envelopes import (
    HEADER,
    by_its_sender,
    header_by_its_sender,
    on_the_way,
    seals,
    signed_again,
    with_payload,
)
from tests.malice.fields import Change
from tests.malice.verdicts import Attack, Verdict
from tests.software_identity import ed25519_key

CLIENT = "client"
_NAME = "REQUEST"
_EVERYBODY = (1, 2, 3)
_PAYMENT = b"pay somebody something"


def attacks(world: World, scheme: Scheme) -> list[Attack]:
    """REQUEST before every holder; then the answers that a client gets."""
    with Desk.opened(world, scheme) as desk:
        return [*_requests(desk), *_signatures(desk), *_wallets(world, scheme)]


def _requests(desk: Desk) -> list[Attack]:
    world = desk.world
    asking = Round(world, desk.certificate, _PAYMENT)
    of_request = fields.of_request(asking.request)
    ways: list[tuple[str, str, str, Change]] = [
        *((each.name, ON_THE_WAY, RELAY, each.change) for each in (*HEADER, *seals(asking.asked))),
        *(
            (each.name, BY_SENDER, COORDINATOR, header_by_its_sender(world, each))
            for each in HEADER
        ),
        *((each.name, ON_THE_WAY, RELAY, on_the_way(each)) for each in of_request),
        *((each.name, BY_SENDER, COORDINATOR, by_its_sender(world, each)) for each in of_request),
        *(
            (what, "signed so by the client", CLIENT, _carrying(world, request))
            for what, request in _lies(desk, asking.request).items()
        ),
        (
            "CERT in its place",
            "sent in another round",
            RELAY,
            lambda _: world.certified(desk.certificate),
        ),
    ]
    found = []
    for what, how, liar, change in ways:
        found.append(recorded(_NAME, what, how, liar, _asked(desk, change(asking.asked))))
    same = [party.desk.request(asking.asked) for party in world.parties.values()]
    assert same == [party.desk.request(asking.asked) for party in world.parties.values()]
    verdicts = _asked(desk, asking.asked)
    again = "it is answered with the same COMMIT"
    found.append(recorded(_NAME, "the same again", "doubled", RELAY, verdicts, again))
    world.now[0] += 601
    found.append(
        recorded(_NAME, "after it has expired", "replayed", RELAY, _asked(desk, asking.asked))
    )
    return found


def _asked(desk: Desk, source: bytes) -> list[Verdict]:
    parties = desk.world.parties
    before = [len(party.desk._leases) for party in parties.values()]
    verdicts = desk.judged(_EVERYBODY, lambda index: parties[index].desk.request(source))
    if verdicts:
        assert before == [len(party.desk._leases) for party in parties.values()]
    return verdicts


def _carrying(world: World, request: Request) -> Change:
    return lambda source: signed_again(world, source, with_payload(source, request.to_bytes()))


def _lies(desk: Desk, honest: Request) -> dict[str, Request]:
    """What a client that is known, or one that is not, may sign."""
    world, content = desk.world, honest.content
    now, stranger = world.clock(), ed25519_key(b"3" * 32)

    def signed(**changes: object) -> Request:
        said: UnsignedRequest = replace(content, nonce=os.urandom(32), **changes)  # type: ignore[arg-type]
        key = world.client.public
        return Request(said, key, world.client.sign(Tag.CLIENT, said.signed_message(key)))

    strange = stranger.sign(Tag.CLIENT, content.signed_message(stranger.public))
    lies = {
        "another wallet_id": signed(wallet_id=bytes(16)),
        "an unknown type": signed(kind=9),
        "a digest of another length": signed(kind=RequestType.DIGEST),
        "a PSBT with a path": signed(kind=RequestType.PSBT),
        "no path": signed(paths=()),
        "two paths": signed(paths=(Path(), Path(0, 1))),
        "a script root": signed(script_root=bytes(32)),
        "over already": signed(not_after=now - 1),
        "for more than a day": signed(not_after=now + 24 * 3600 + 60),
        "by a key that is not in the list": Request(content, stranger.public, strange),
        "the signature of another key": Request(content, honest.key, strange),
    }
    if desk.scheme is Scheme.ED25519:
        lies["a path below the key"] = signed(paths=(Path(0, 1),))
    return lies


# Before the client


def _signatures(desk: Desk) -> list[Attack]:
    world = desk.world
    nobody = VerifiedEnd("treasury", (), (1, 2, 3), 2, world.roster)
    wallet = VerifiedWallet(desk.certificate, None, nobody, world.roster)
    round_ = Round(world, desk.certificate, _PAYMENT).commit(1, 2)
    signature, _ = round_.signature({index: round_.sign(index) for index in (1, 2)})
    other = Round(world, desk.certificate, b"pay somebody else").commit(1, 2)
    of_another, _ = other.signature({index: other.sign(index) for index in (1, 2)})
    signers = indices_to_bytes((1, 2))
    shown: dict[str, tuple[bytes, ...]] = {
        "R changed": (fields.flipped(signature[:32]) + signature[32:], signers, b""),
        "s changed": (signature[:32] + fields.flipped(signature[32:]), signers, b""),
        "none": (b"", signers, b""),
        "of another message": (of_another, signers, b""),
        "fewer signers than t": (signature, indices_to_bytes((1,)), b""),
        "signers outside of the roster": (signature, indices_to_bytes((1, 9)), b""),
        "half an index": (signature, b"\0", b""),
        "one part less": (signature, signers),
    }
    found = []
    for what, parts in shown.items():
        client = _client(world, parts)
        verdicts = _told(lambda: client.sign(wallet, RequestType.MESSAGE, _PAYMENT, Path(), ()))  # noqa: B023
        found.append(
            recorded("the signature, shown to its client", what, BY_SENDER, COORDINATOR, verdicts)
        )
    return found


def _wallets(world: World, scheme: Scheme) -> list[Attack]:
    """Certificate and DONEs, in answer to `wallet show`."""
    ceremony, other = finished(world, scheme), finished(world, scheme)
    certificate, dones = ceremony.certificate, ceremony.sent["DONE"][1]
    theirs = other.sent["DONE"][1]
    shown: dict[str, Shown] = {
        "another wallet under its name": Shown(other.certificate, tuple(theirs)),
        "no DONE at all": Shown(certificate, ()),
        "a DONE less": Shown(certificate, tuple(dones[:2])),
        "one DONE twice": Shown(certificate, (dones[0], dones[0], dones[2])),
        "the DONEs of another wallet": Shown(certificate, tuple(theirs)),
        "no certificate": Shown(b"", tuple(dones)),
    }
    found = []
    for what, each in shown.items():
        client = _client(world, each.to_parts())
        verdicts = _told(lambda: client.show(ceremony.asked.name))  # noqa: B023
        found.append(
            recorded("the wallet, shown to its client", what, BY_SENDER, COORDINATOR, verdicts)
        )
    return found


def _client(world: World, parts: Sequence[bytes]) -> WalletClient:
    key = world.client
    known = KnownWallets(NOWHERE)
    return WalletClient(
        Shows(tuple(parts)), world.roster, "me", key.public, key.sign, world.clock, known
    )


def _told(ask: object) -> list[Verdict]:
    assert callable(ask)
    try:
        ask()
    except Exception as refused:
        return [Verdict.of("client", refused)]
    return []
