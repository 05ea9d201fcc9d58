"""Signing by real holders: judged by an independent verifier, and everything that they refuse."""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path as File
from typing import Any

import coincurve
import pytest

from hsm_mpc.agent import asked
from hsm_mpc.agent.evidence import Case
from hsm_mpc.agent.opener import OpenableShare
from hsm_mpc.agent.signing import SigningDesk
from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.errors import (
    BackendError,
    BadEncoding,
    BadInput,
    HsmMpcError,
    InvalidSignature,
    ProtocolAbort,
    Refused,
    Tampered,
)
from hsm_mpc.hsm.module import Module
from hsm_mpc.ids import EpochHash, HolderIndex, WalletId
from hsm_mpc.protocols import leases
from hsm_mpc.protocols.frost_bip340 import partial as partials
from hsm_mpc.protocols.frost_bip340.tweaks import TweakedKey
from hsm_mpc.protocols.leases import LIFETIME, OPEN_PER_WALLET
from hsm_mpc.protocols.list_checks import RepeatedNonce
from hsm_mpc.requests import LONGEST_VALIDITY, Request, RequestType
from hsm_mpc.secure.arena import Arena, Secret, publish
from hsm_mpc.secure.process import run_shielded
from hsm_mpc.tags import Tag
from hsm_mpc.taproot.derivation import Path
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.rounds import COMMIT, PARTIAL, REQUEST, SIGN
from tests.agent.faults import failing_at, steps_of
from tests.agent.making import Making, events, lines
from tests.agent.rounds import Round, commit_in, leases_of, open_leases, partial_in
from tests.agent.simulate import NOTHING, Party, World, Worlds, made_wallet
from tests.memory_folder import IN_MEMORY
from tests.named_steps import observed
from tests.software_identity import ed25519_key

pytestmark = pytest.mark.usefixtures("shielded")


@pytest.fixture(scope="module")
def treasury(hsm_module: Module, pin_arena: Arena) -> Iterator[tuple[World, Certificate]]:
    """Three holders and a 2-of-3 wallet, for tests that leave both as they were."""
    with (
        tempfile.TemporaryDirectory(prefix="stores-", dir=IN_MEMORY) as folder,
        World.made(hsm_module, pin_arena, File(folder), 3) as world,
    ):
        yield world, run_shielded(lambda: made_wallet(world))


@pytest.fixture
def desks(treasury: tuple[World, Certificate]) -> Iterator[World]:
    """The holders, with desks on which nothing lies yet, at the time when the wallet was made."""
    world, _ = treasury
    now = world.now[0]
    for party in world.parties.values():
        party.desk = SigningDesk(party.acting, party.wallets, world.ticks)
    free = world.free_bytes()
    yield world
    world.now[0] = now
    for party in world.parties.values():
        party.desk.forget()
    assert world.free_bytes() == free, "a nonce or a share was left behind"


@pytest.fixture
def certificate(treasury: tuple[World, Certificate]) -> Certificate:
    return treasury[1]


@pytest.fixture
def round_(desks: World, certificate: Certificate) -> Round:
    """Holders 1 and 2 have offered a nonce each."""
    return Round(desks, certificate).commit(1, 2)


@pytest.fixture
def party(desks: World) -> Party:
    return desks.parties[1]


def refused(work: Callable[[], object]) -> str:
    with pytest.raises(Refused) as caught:
        work()
    return caught.value.rule


# Signatures


@pytest.mark.parametrize("signers", [*combinations((1, 2, 3), 2), (1, 2, 3)])
@pytest.mark.parametrize("length", [0, 1, 32, 1000])
def test_every_quorum_signs_and_coincurve_agrees(
    desks: World, certificate: Certificate, signers: tuple[int, ...], length: int
) -> None:
    round_ = Round(desks, certificate, os.urandom(length)).commit(*signers)
    signature, key = round_.signature({index: round_.sign(index) for index in signers})
    assert coincurve.PublicKeyXOnly(key).verify(signature, round_.message)


def test_a_signature_leaves_two_lines(round_: Round, party: Party) -> None:
    """Step 3.4.15."""
    before = len(lines(party))
    message = round_.listed()
    round_.sign(1, message)
    used, released = lines(party)[before:]
    assert used["event"] == "lease-used"
    assert released["event"] == "partial-released"
    wanted = {
        "wallet_id": round_.certificate.body.terms.wallet_id.hex(),
        "epoch_hash": round_.certificate.body.hash.hex(),
        "request_id": round_.request.id.hex(),
        "k": 0,
        "message_sha256": hashlib.sha256(round_.message).hexdigest(),
        "list": hashlib.sha256(parse_envelope(message).payload).hexdigest(),
        "lease_id": commit_in(round_.commits[1]).lease_id.hex(),
    }
    assert wanted.items() <= used.items()
    more = {"client": "me", "rule": "message", "set": [1, 2]}
    assert {**wanted, **more}.items() <= released.items()


def test_a_partial_goes_to_the_coordinator_that_asked(round_: Round) -> None:
    """Step 1.7.8."""
    answer = parse_envelope(round_.sign(1))
    assert answer.kind is PARTIAL
    assert (answer.address.sender, answer.address.receiver) == (1, 0x8000)
    assert answer.address.session_id == round_.session_id
    assert partial_in(answer.to_bytes()).lease_id == commit_in(round_.commits[1]).lease_id
    commit = parse_envelope(round_.commits[1])
    assert (commit.kind, commit.address.receiver) == (COMMIT, 0)


def test_two_wallets_and_paths_do_not_mix(desks: World, certificate: Certificate) -> None:
    rounds = [Round(desks, certificate, b"%d" % number).commit(1, 2) for number in range(4)]
    for round_ in reversed(rounds):
        signature, key = round_.signature({index: round_.sign(index) for index in (1, 2)})
        assert coincurve.PublicKeyXOnly(key).verify(signature, round_.message)


# REQUEST (step 3.2.1)


def changed_request(round_: Round, sign: bool = True, **changes: Any) -> bytes:
    """The request of the same client with other content, in a REQUEST of the coordinator."""
    content = replace(round_.request.content, **changes)
    key, signature = round_.world.client.public, round_.request.signature
    if sign:
        signature = round_.world.client.sign(Tag.CLIENT, content.signed_message(key))
    return asked_by(round_, Request(content, key, signature))


def asked_by(round_: Round, request: Request, **header: bytes) -> bytes:
    body = round_.certificate.body
    said = {"wallet": body.terms.wallet_id, "session": NOTHING, "h": body.hash, **header}
    return round_.world.said(
        REQUEST, WalletId(said["wallet"]), said["session"], said["h"], request.to_bytes()
    )


def rule_of(round_: Round, source: bytes) -> str:
    """The rule by which holder 1 refuses; its line is there, and no nonce was made."""
    party = round_.world.parties[1]
    before = leases_of(party.desk)
    rule = refused(lambda: party.desk.request(source))
    assert (lines(party)[-1]["event"], lines(party)[-1]["rule"]) == ("refused", rule)
    assert leases_of(party.desk) == before
    return rule


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"wallet_id": WalletId(b"another wallet..")}, "other-wallet"),  # request_of_other_wallet
        ({"kind": 0}, "request-type"),
        ({"kind": 4}, "request-type"),
        ({"kind": RequestType.DIGEST}, "digest-length"),
        ({"paths": ()}, "path-count"),
        ({"paths": (Path(), Path())}, "path-count"),
        ({"script_root": bytes(32)}, "script-root"),  # script_root_refused
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_request_that_breaks_a_rule_is_refused(
    round_: Round, changes: dict[str, Any], rule: str
) -> None:
    assert rule_of(round_, changed_request(round_, **changes)) == rule


def test_a_transaction_that_nothing_reads_is_refused(round_: Round) -> None:
    assert rule_of(round_, changed_request(round_, kind=RequestType.PSBT, paths=())) == (
        "request-type"
    )


@pytest.mark.parametrize(
    ("offset", "rule"),
    [(-1, "request-expired"), (LONGEST_VALIDITY + 1, "request-too-far")],
)
def test_expired_request_and_not_after_too_far_are_refused(
    round_: Round, offset: int, rule: str
) -> None:
    late = changed_request(round_, not_after=round_.world.clock() + offset)
    assert rule_of(round_, late) == rule
    just = changed_request(round_, not_after=round_.world.clock() + max(0, offset - 1))
    assert round_.world.parties[1].desk.request(just)


def test_unknown_client_is_refused(round_: Round) -> None:
    stranger = ed25519_key(b"stranger".ljust(32))
    content = round_.request.content
    signature = stranger.sign(Tag.CLIENT, content.signed_message(stranger.public))
    source = asked_by(round_, Request(content, stranger.public, signature))
    assert rule_of(round_, source) == "unknown-client"


def test_bad_client_signature_is_refused(round_: Round) -> None:
    """A coordinator that swaps the message, or any other byte of what the client signed."""
    assert rule_of(round_, changed_request(round_, sign=False, content=b"pay me")) == (
        "client-signature"
    )
    assert rule_of(round_, changed_request(round_, sign=False, paths=(Path(0, 1),))) == (
        "client-signature"
    )
    forged = replace(round_.request, signature=bytes(64))
    assert rule_of(round_, asked_by(round_, forged)) == "client-signature"


def test_a_request_for_another_wallet_or_epoch_is_refused(round_: Round, party: Party) -> None:
    """Cross-wallet: the header's wallet and the client's are compared."""
    other = b"another wallet.."
    assert rule_of(round_, asked_by(round_, round_.request, wallet=other)) == "unknown-wallet"
    assert rule_of(round_, asked_by(round_, round_.request, h=b"h" * 32)) == "unknown-wallet"


@pytest.mark.parametrize("payload", [b"", b"\1", b"\2" + bytes(200)])
def test_a_garbled_request_is_refused(round_: Round, party: Party, payload: bytes) -> None:
    body = round_.certificate.body
    source = round_.world.said(REQUEST, body.terms.wallet_id, NOTHING, body.hash, payload)
    with pytest.raises(BadEncoding):
        party.desk.request(source)
    with pytest.raises(BadEncoding):
        party.desk.request(
            round_.world.said(
                REQUEST,
                body.terms.wallet_id,
                NOTHING,
                body.hash,
                round_.request.to_bytes() + b"\0",
            )
        )


def test_a_request_of_an_unknown_coordinator_is_refused(round_: Round, party: Party) -> None:
    honest, round_.world.coordinator = round_.world.coordinator, ed25519_key(b"9" * 32)
    try:
        with pytest.raises(InvalidSignature):
            party.desk.request(asked_by(round_, round_.request))
    finally:
        round_.world.coordinator = honest
    with pytest.raises(BadEncoding, match="session"):
        party.desk.request(asked_by(round_, round_.request, session=b"s" * 32))
    with pytest.raises(BadEncoding, match="a SIGN where a REQUEST"):
        party.desk.request(round_.listed())


def test_a_policy_that_does_not_allow_it_refuses(worlds: Worlds) -> None:
    """Step 1.6.8: a 32-byte message counts as raw, whatever the client says it is."""
    world = worlds(2)
    policy = b"version: 1\npermissions: [message]\n"
    making = Making.of(world)
    making.proposal = replace(making.proposal, policy_hash=hashlib.sha256(policy).digest())
    making.greet = lambda index: world.parties[index].ceremonies.propose(  # type: ignore[method-assign]
        making.message(), policy
    )
    certificate = making.active()
    round_ = Round(world, certificate, bytes(32))
    assert rule_of(round_, round_.asked) == "permission"
    assert Round(world, certificate, bytes(33)).commit(1, 2).sign(1)


def test_a_repeated_request_gets_the_open_nonce_again(round_: Round, party: Party) -> None:
    """Step 1.7.4; after it was used, another one."""
    first = round_.commits[1]
    round_.commit(1)
    assert round_.commits[1] == first
    round_.sign(1)
    round_.commit(1)
    assert commit_in(round_.commits[1]).lease_id != commit_in(first).lease_id
    assert commit_in(round_.commits[1]).public_nonce != commit_in(first).public_nonce


def test_a_33rd_nonce_of_a_wallet_makes_room_for_itself(
    round_: Round, party: Party, certificate: Certificate
) -> None:
    """Step 3.3.1."""
    for number in range(OPEN_PER_WALLET):
        Round(round_.world, certificate, b"%d" % number).commit(1)
    assert open_leases(party) == OPEN_PER_WALLET
    assert refused(lambda: round_.sign(1)) == "lease-unknown"


def test_a_full_signer_draws_no_nonce(
    round_: Round, party: Party, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 3.3.1: lease caps, and only then the share is opened."""
    wallet = party.wallets.signing(certificate.body.terms.wallet_id, certificate.body.hash)
    monkeypatch.setattr(leases, "OPEN_IN_ALL", 1)
    monkeypatch.setattr(wallet, "share", None)
    with pytest.raises(BackendError, match="try again") as full:
        Round(round_.world, certificate, b"one more").commit(1)
    assert full.value.retryable


def test_what_is_opened_beside_the_share_is_wiped_at_once(
    round_: Round, party: Party, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """x ‖ v: of the two only x is used."""
    wallet = party.wallets.signing(certificate.body.terms.wallet_id, certificate.body.hash)
    opened: list[Secret] = []
    honest = type(wallet.share).open_into

    def open_into(share: OpenableShare, into: Secret) -> None:
        opened.append(into)
        honest(share, into)

    monkeypatch.setattr(type(wallet.share), "open_into", open_into)
    with party.desk._share(wallet) as share:
        assert publish(opened[0]) == bytes(64)
        assert publish(share) != bytes(32)


def test_memory_for_requests_is_bounded(
    round_: Round, party: Party, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The open ones are kept; those whose nonces are gone make room."""
    monkeypatch.setattr(asked, "MOST_KEPT", 4)
    rounds = [Round(round_.world, certificate, b"%d" % number).commit(1, 2) for number in range(9)]
    assert len(party.desk._asked) == 10
    for each in rounds[:8]:
        each.sign(1)
    Round(round_.world, certificate, b"the last").commit(1)
    assert len(party.desk._asked) == 3
    assert round_.sign(1)


def test_requests_and_nonces_end_by_themselves(round_: Round, party: Party) -> None:
    """Step 3.3.1: 30 s each."""
    round_.world.later[0] += LIFETIME + 1
    party.desk.expire()
    assert open_leases(party) == 0
    assert refused(lambda: round_.sign(1)) == "lease-unknown"
    round_.world.later[0] += LIFETIME + 1
    party.desk.expire()
    assert len(party.desk._asked) == 0


# SIGN: leases (steps 3.4.1 and 3.4.14)


def test_lease_used_twice_is_refused(round_: Round, party: Party) -> None:
    """Any other list for a used lease; a coordinator that replays round 2 with other nonces."""
    first = round_.sign(1)
    round_.commit(2)
    assert round_.sign(1) == first  # the very same list
    round_.commit(3)
    for attempt in (1, 2):
        message = round_.listed(attempt=attempt)
        assert refused(lambda: round_.sign(1, message)) == "lease-used"  # noqa: B023
    assert lines(party)[-1]["rule"] == "lease-used"


def test_same_list_same_bytes(round_: Round, party: Party) -> None:
    """Step 3.4.14: also when the nonce is long gone, and without another line."""
    message = round_.listed()
    first = round_.sign(1, message)
    count = len(lines(party))
    assert [round_.sign(1, message) for _ in range(3)] == [first] * 3
    assert len(lines(party)) == count


def test_three_replays_do_not_leak(round_: Round, party: Party) -> None:
    """Step 3.4.14: the linear attack fails for lack of answers."""
    answers = []
    for number in range(3):
        nonce = commit_in(Round(round_.world, round_.certificate).commit(2).commits[2])
        lie = round_.lied(2, public_nonce=nonce.public_nonce, lease_id=b"%016d" % number)
        try:
            answers.append(round_.sign(1, round_.listed([round_.commits[1], lie], attempt=number)))
        except Refused as used:
            assert used.rule == "lease-used"
    assert len(answers) == 1


def test_lease_of_other_request_is_refused(round_: Round, certificate: Certificate) -> None:
    """Step 3.4.1."""
    other = Round(round_.world, certificate, b"another").commit(1, 2)
    unsigned = round_.commits[2][:-1] + bytes([round_.commits[2][-1] ^ 1])
    mixed = [other.commits[1], unsigned]  # nobody comes to look at it
    assert refused(lambda: round_.sign(1, round_.listed(mixed))) == "lease-session"
    assert refused(lambda: other.sign(1)) == "lease-used"  # it was taken, and so it is gone


def test_lease_of_other_epoch_is_refused(round_: Round, party: Party) -> None:
    """Step 3.4.1: a lease of a wallet that is not this one."""
    (lease_id,) = leases_of(party.desk)
    lease, until = party.desk._leases._open[lease_id]
    changed = replace(lease, terms=replace(lease.terms, epoch_hash=b"h" * 32))
    party.desk._leases._open[lease_id] = (changed, until)
    assert refused(lambda: round_.sign(1)) == "lease-session"


def test_a_list_for_another_signature_of_the_request_is_refused(round_: Round) -> None:
    """Step 3.4.1: k."""
    assert refused(lambda: round_.sign(1, round_.listed(k=1))) == "lease-session"


def test_a_lease_that_was_never_made_is_refused(round_: Round) -> None:
    lie = round_.lied(1, lease_id=b"never made here.")
    assert refused(lambda: round_.sign(1, round_.listed([lie, round_.commits[2]]))) == (
        "lease-unknown"
    )


def test_lease_after_restart_is_refused(worlds: Worlds) -> None:
    """Step 3.3.4: nonces are gone, wallets stay."""
    world = worlds(2)
    round_ = Round(world, made_wallet(world)).commit(1, 2)
    message = round_.listed()
    world.restarted(1)
    assert refused(lambda: round_.sign(1, message)) == "lease-unknown"
    round_.commit(1)
    round_.commit(2)
    signature, key = round_.signature({index: round_.sign(index) for index in (1, 2)})
    assert coincurve.PublicKeyXOnly(key).verify(signature, round_.message)


def test_two_threads_use_a_lease_once(round_: Round, party: Party) -> None:
    lists = [round_.listed(attempt=attempt) for attempt in range(1, 7)]
    answers: list[bytes] = []
    rules: list[str] = []
    barrier = threading.Barrier(len(lists))

    def sign(message: bytes) -> None:
        barrier.wait()
        try:
            answers.append(round_.sign(1, message))
        except Refused as used:
            rules.append(used.rule)

    threads = [threading.Thread(target=run_shielded, args=(lambda m=m: sign(m),)) for m in lists]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 1
    assert rules == ["lease-used"] * 5


# SIGN: the list (steps 3.4.2 to 3.4.6)


def abort_of(round_: Round, source: bytes, used: bool = True) -> ProtocolAbort:
    """The list is no list; the nonce, if it was taken for it, is gone, and nothing was signed."""
    party = round_.world.parties[1]
    before, told = leases_of(party.desk), len(events(party))
    open_before = [lease for lease, _ in party.desk._leases._open.values()]
    with pytest.raises(ProtocolAbort) as caught:
        round_.sign(1, source)
    for lease in open_before if used else ():
        with pytest.raises(BackendError, match="after its release"), lease.secret_nonce.open():
            pass
    assert "partial-released" not in events(party)[told:]
    assert leases_of(party.desk) == (set() if used else before)
    if used:
        assert lines(party)[-1]["event"] == "refused"
    return caught.value


def test_a_list_of_an_unknown_coordinator_is_refused(round_: Round, party: Party) -> None:
    honest, round_.world.coordinator = round_.world.coordinator, ed25519_key(b"9" * 32)
    message = round_.listed()
    round_.world.coordinator = honest
    with pytest.raises(InvalidSignature):
        round_.sign(1, message)
    assert open_leases(party) == 1


@pytest.mark.parametrize(
    "address",
    [
        {"wallet_id": WalletId(b"another wallet..")},
        {"epoch_hash": EpochHash(b"h" * 32)},
        {"receiver": 1},
        {"sender": 0x8001},
    ],
    ids=lambda address: next(iter(address)),
)
def test_a_list_in_another_envelope_is_refused(
    round_: Round, party: Party, address: dict[str, object]
) -> None:
    """Steps 1.7.3: cross-wallet, cross-epoch."""
    payload = parse_envelope(round_.listed()).payload
    with pytest.raises(BadEncoding):
        round_.sign(1, round_.said(payload, **address))
    assert open_leases(party) == 1


def test_a_list_of_an_unknown_session_is_refused(round_: Round) -> None:
    payload = parse_envelope(round_.listed()).payload
    source = round_.said(payload, session_id=b"s" * 32)
    assert refused(lambda: round_.sign(1, source)) == "lease-unknown"


@pytest.mark.parametrize("payload", [b"", bytes(7), b"\0" * 8 + b"\0"])
def test_a_list_that_does_not_parse_blames_nobody(round_: Round, payload: bytes) -> None:
    assert abort_of(round_, round_.said(payload), used=False).culprits == ()


def test_a_list_of_anything_else_blames_nobody(round_: Round) -> None:
    """Malformed, truncated, oversized, or of other rounds."""
    own, other = round_.commits[1], round_.commits[2]
    for commits in (
        [],
        [other],
        [own, b"garbage"],
        [own, other[:-1]],
        [own, other + b"\0"],
        [own, round_.asked],
        [own, round_.world.channels()[1]],
        [own, other, other, other],
    ):
        abort = abort_of(round_, round_.listed(commits), used=False)
        assert abort.culprits == ()


def test_an_own_entry_that_does_not_parse_blames_nobody(round_: Round) -> None:
    """Nobody has signed it yet."""
    lie = round_.lied(1, payload=b"short")
    abort = abort_of(round_, round_.listed([lie, round_.commits[2]]), used=False)
    assert abort.culprits == ()


def test_too_few_signers_are_refused(round_: Round) -> None:
    """Step 3.4.2: t ≤ u."""
    assert abort_of(round_, round_.listed([round_.commits[1]])).culprits == ()


@pytest.mark.parametrize("order", [(2, 1), (1, 1), (1, 2, 2), (1, 2, 1)])
def test_a_list_that_is_not_ascending_is_refused(round_: Round, order: tuple[int, ...]) -> None:
    """Step 3.4.2: ascending distinct indices."""
    commits = [round_.commits[index] for index in order]
    assert abort_of(round_, round_.listed(commits)).culprits == ()


@pytest.mark.parametrize("index", [0, 4, 0x4001])
def test_stranger_in_list_is_refused(round_: Round, index: int) -> None:
    """Step 3.4.2: each signed by that index of the roster."""
    entry = bytearray(round_.commits[2])
    entry[87:89] = index.to_bytes(2, "big")
    assert abort_of(round_, round_.listed([round_.commits[1], bytes(entry)])).culprits == ()


@pytest.mark.parametrize("at", [60, 100, 120, 150, -1])
def test_a_commit_that_the_relay_altered_blames_nobody(round_: Round, at: int) -> None:
    """Step 3.4.2: a coordinator that sends different commitments to different holders."""
    entry = bytearray(round_.commits[2])
    entry[at] ^= 1
    assert abort_of(round_, round_.listed([round_.commits[1], bytes(entry)])).culprits == ()


def test_a_commit_of_another_session_is_refused(round_: Round, certificate: Certificate) -> None:
    """Step 3.4.2: replayed from another request."""
    other = Round(round_.world, certificate, b"another").commit(2)
    mixed = [round_.commits[1], other.commits[2]]
    assert abort_of(round_, round_.listed(mixed)).culprits == ()


def test_a_commit_for_another_signature_of_the_request_is_refused(round_: Round) -> None:
    """Step 3.4.2: of this k."""
    mixed = [round_.commits[1], round_.lied(2, k=1)]
    assert abort_of(round_, round_.listed(mixed)).culprits == ()


def test_a_commit_whose_channel_is_not_known_is_refused(
    worlds: Worlds,
) -> None:
    world = worlds(2)
    round_ = Round(world, made_wallet(world)).commit(1, 2)
    world.restarted(1)
    round_.commit(1)
    (own_only,) = [source for source in world.channels() if source[88] == 1]
    with pytest.raises(ProtocolAbort, match="no valid channel of holder 2"):
        world.parties[1].desk.sign(round_.listed(), [own_only])


def test_a_channel_that_is_none_costs_no_nonce(round_: Round, party: Party) -> None:
    for channels in ([b"garbage"], [round_.commits[2]]):
        with pytest.raises(BadEncoding):
            party.desk.sign(round_.listed(), channels)
    assert round_.sign(1)


def test_own_commit_replaced_is_refused(round_: Round) -> None:
    """Step 3.4.4: byte for byte mine."""
    other_nonce = commit_in(round_.commits[2]).public_nonce
    lie = round_.lied(1, public_nonce=other_nonce)
    abort = abort_of(round_, round_.listed([lie, round_.commits[2]]))
    assert abort.culprits == ()
    assert "own COMMIT is changed" in str(abort)


def test_own_commit_missing_is_refused(round_: Round) -> None:
    round_.commit(3)
    others = [round_.commits[2], round_.commits[3]]
    abort = abort_of(round_, round_.listed(others), used=False)
    assert "own COMMIT is missing" in str(abort)


def evidence_of(party: Party) -> Case:
    """What the last line says is kept."""
    return Case.from_bytes(party.acting.store.evidence.load(str(lines(party)[-1]["evidence"])))


OFF_CURVE = bytes.fromhex("eefdea4cdb677750a420fee807eacf21eb9898ae79b9768766e4faa04a2d4a34")
"""An x that no point has (BIP 340, vector 5)."""


def test_nonce_not_a_point_names_sender(round_: Round, party: Party) -> None:
    """Step 3.4.5, with the proof."""
    nonce = commit_in(round_.commits[2]).public_nonce
    for broken in (bytes(66), nonce[:33] + bytes(33), b"\4" + nonce[1:], nonce[:34] + OFF_CURVE):
        lie = round_.lied(2, public_nonce=broken, lease_id=os.urandom(16))
        try:
            abort = abort_of(round_, round_.listed([round_.commits[1], lie]))
        finally:
            mine = round_.commits[1]
            round_.commit(1)
        assert abort.culprits == (2,)
        assert evidence_of(party).messages == (mine, lie)
        assert {holder for holder, _ in evidence_of(party).channels} == {1, 2}


@pytest.mark.parametrize("payload", [b"", bytes(83), bytes(85)])
def test_a_signed_commit_that_does_not_parse_names_its_sender(
    round_: Round, party: Party, payload: bytes
) -> None:
    """Step 1.10."""
    lie = round_.lied(2, payload=payload)
    abort = abort_of(round_, round_.listed([round_.commits[1], lie]))
    assert abort.culprits == (2,)
    assert lie in evidence_of(party).messages


def test_duplicated_nonce_is_evidence_against_nobody(round_: Round, party: Party) -> None:
    """Step 3.4.6: the pair is kept, nobody is excluded."""
    mine = commit_in(round_.commits[1])
    for changes in ({"public_nonce": mine.public_nonce}, {"lease_id": mine.lease_id}):
        mine = commit_in(round_.commit(1).commits[1])
        changes = {name: getattr(mine, name) for name in changes}
        lie = round_.lied(2, **{"lease_id": os.urandom(16), **changes})
        abort = abort_of(round_, round_.listed([round_.commits[1], lie]))
        assert isinstance(abort, RepeatedNonce)
        assert (abort.pair, abort.culprits) == ((1, 2), ())
        assert evidence_of(party).messages == (round_.commits[1], lie)


def test_two_commits_for_one_lease_are_evidence(round_: Round, party: Party) -> None:
    """Step 1.7.4: sub = lease_id; in two lists, for two leases of ours."""
    other = commit_in(Round(round_.world, round_.certificate).commit(2).commits[2])
    twin = round_.lied(2, public_nonce=other.public_nonce)
    round_.sign(1)
    round_.commit(1)
    abort = abort_of(round_, round_.listed([round_.commits[1], twin], attempt=1))
    assert abort.culprits == (2,)
    assert evidence_of(party).messages == (round_.commits[2], twin)


def test_two_lists_of_one_attempt_are_the_coordinators_fault(round_: Round, party: Party) -> None:
    """Steps 1.7.4 and 3.2.3: sub = attempt ‖ k; no holder is named, and the nonce is kept."""
    round_.sign(1)
    round_.commit(1)
    round_.commit(3)
    before = leases_of(party.desk)
    with pytest.raises(ProtocolAbort, match="coordinator 32768 sent two different") as twice:
        round_.sign(1, round_.listed(attempt=0))
    assert twice.value.culprits == ()
    assert leases_of(party.desk) == before
    assert {parse_envelope(each).kind for each in evidence_of(party).messages} == {SIGN}
    assert round_.sign(1, round_.listed(attempt=1))


def test_set_outside_quorum_rule_is_refused(
    round_: Round, party: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 3.4.3."""
    honest = SigningDesk._task

    def strict(desk: SigningDesk, *rest: object) -> object:
        task: Any = honest(desk, *rest)  # type: ignore[arg-type]
        return replace(task, allowed=lambda signers: 3 in signers)

    monkeypatch.setattr(SigningDesk, "_task", strict)
    assert refused(lambda: round_.sign(1)) == "quorum"
    round_.commit(1, 3)
    assert round_.sign(1, round_.listed([round_.commits[1], round_.commits[3]], attempt=1))


# SIGN: policy, key, share (steps 3.4.7 to 3.4.12)


def test_a_request_that_expired_meanwhile_is_refused(round_: Round, party: Party) -> None:
    """Step 3.4.7: policy again."""
    round_.world.now[0] = round_.request.content.not_after + 1
    assert refused(lambda: round_.sign(1)) == "request-expired"
    assert open_leases(party) == 0


def test_a_policy_that_changed_meanwhile_refuses(
    round_: Round, party: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 3.4.7: limits may have changed."""
    body = round_.certificate.body
    wallet = party.wallets.signing(body.terms.wallet_id, body.hash)
    monkeypatch.setattr(wallet, "policy", replace(wallet.policy, permissions=frozenset()))
    assert refused(lambda: round_.sign(1)) == "permission"


def test_changed_request_after_commit_is_refused(round_: Round, party: Party) -> None:
    """Step 3.4.7: the digest is recomputed from the stored request."""
    stored = party.desk._asked._asked
    kept = stored[round_.session_id]
    content = replace(kept.request.content, content=b"pay me")
    sly = replace(kept.request, content=content)
    (lease_id,) = leases_of(party.desk)
    lease, until = party.desk._leases._open[lease_id]
    terms = replace(lease.terms, request_id=sly.id)
    party.desk._leases._open[lease_id] = (replace(lease, terms=terms), until)
    stored[round_.session_id] = replace(kept, request=sly)
    assert refused(lambda: round_.sign(1)) == "message-changed"


def test_digest_from_coordinator_is_ignored(round_: Round) -> None:
    """Step 3.4.7: nothing in a SIGN message says what is signed."""
    signature, key = round_.signature({index: round_.sign(index) for index in (1, 2)})
    assert coincurve.PublicKeyXOnly(key).verify(signature, round_.message)
    assert not coincurve.PublicKeyXOnly(key).verify(signature, b"pay me")


def test_output_key_differs_is_refused(
    round_: Round, party: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 3.4.9: Q is the key that was derived when the nonce was made."""
    body = round_.certificate.body
    wallet = party.wallets.signing(body.terms.wallet_id, body.hash)
    other = TweakedKey.of(body.group_key, [(b"\1" * 32, True)])
    monkeypatch.setattr(wallet.key, "_tweaked", lambda _: other)
    with pytest.raises(BadInput, match="another key"):
        round_.sign(1)
    assert lines(party)[-1]["event"] == "refused"


def test_sealed_share_of_other_holder_is_an_alarm(
    round_: Round, party: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 3.4.8: opened ⟦d⟧·G = A(i), for the nonce of which the own share hedged."""
    body = round_.certificate.body
    mine = party.wallets.signing(body.terms.wallet_id, body.hash)
    theirs = round_.world.parties[2].wallets.signing(body.terms.wallet_id, body.hash)
    monkeypatch.setattr(mine, "share", theirs.share)
    with pytest.raises(Tampered, match="not the one that the epoch certifies"):
        round_.sign(1)
    assert lines(party)[-1]["event"] == "alarm"
    assert open_leases(party) == 0


def test_a_blob_that_the_record_does_not_name_is_not_opened(
    round_: Round, party: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 1.11.6: blob_not_named_by_the_record; context_of_other_holder."""
    body = round_.certificate.body
    wallet = party.wallets.signing(body.terms.wallet_id, body.hash)
    others: list[dict[str, Any]] = [
        {"digest": bytes(32)},
        {"context": replace(wallet.share.context, holder=HolderIndex(2))},
        {"context": replace(wallet.share.context, epoch_hash=EpochHash(b"h" * 32))},
    ]
    for changes in others:
        with monkeypatch.context() as patch:
            patch.setattr(wallet, "share", replace(wallet.share, **changes))
            with pytest.raises(Tampered):
                round_.sign(1)
        round_.commit(1)


def test_a_partial_that_does_not_verify_is_never_sent(
    round_: Round, party: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 3.4.12: nothing leaves, and an alarm is raised."""
    monkeypatch.setattr(partials, "_right_side", lambda *_: None)
    with pytest.raises(Tampered, match="not released"):
        round_.sign(1)
    assert events(party)[-2:] == ["lease-used", "alarm"]


# SIGN: the audit log (step 3.4.15)


def test_no_partial_without_a_durable_line(round_: Round, party: Party) -> None:
    """Steps 3.4.14 and 3.4.15: a full disk refuses at any write, and the nonce is gone."""
    names = steps_of(lambda: round_.sign(1))
    assert names == ["audit.line", "audit.state"] * 2
    for number in range(len(names)):
        round_.commit(1, 2)
        message = round_.listed(attempt=number + 1)
        with failing_at(number), pytest.raises(BackendError) as full:
            round_.sign(1, message)
        assert full.value.retryable
        assert open_leases(party) == 0
        assert refused(lambda: round_.sign(1, message)) == "lease-used"  # noqa: B023


def test_the_line_of_a_lease_is_durable_before_the_list_is_looked_at(round_: Round) -> None:
    """Step 3.4: take the lease first, with its line."""
    entry = bytearray(round_.commits[2])
    entry[-1] ^= 1
    party = round_.world.parties[1]
    abort_of(round_, round_.listed([round_.commits[1], bytes(entry)]))
    assert events(party)[-2:] == ["lease-used", "refused"]


def test_no_refusal_without_a_durable_line(round_: Round, party: Party) -> None:
    late = changed_request(round_, not_after=0)
    with failing_at(0), pytest.raises(BackendError, match=r"no audit\.line"):
        party.desk.request(late)


def test_what_the_hsm_fails_to_do_is_no_refusal(
    round_: Round, party: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise BackendError("the token is gone")

    body = round_.certificate.body
    wallet = party.wallets.signing(body.terms.wallet_id, body.hash)
    monkeypatch.setattr(type(wallet.share), "open_into", gone)
    with pytest.raises(BackendError, match="the token is gone"):
        round_.sign(1)
    assert events(party)[-1] == "lease-used"
    with pytest.raises(BackendError, match="the token is gone"):
        Round(round_.world, round_.certificate).commit(1)
    assert open_leases(party) == 0


def test_a_partial_leaves_after_its_line(round_: Round, party: Party) -> None:
    seen: list[str] = []
    with observed(lambda when, name: seen.append(f"{when} {name}")):
        round_.sign(1)
    assert seen[-1] == "after audit.state"
    assert lines(party)[-1]["event"] == "partial-released"


# Loading a wallet


@pytest.mark.parametrize("document", ["policy", "clients", "body"])
def test_a_wallet_whose_files_were_changed_does_not_sign(worlds: Worlds, document: str) -> None:
    """Step 1.11: what the body or the record names is what is on disk."""
    world = worlds(2)
    certificate = made_wallet(world)
    (path,) = world.parties[1].acting.store._folder.glob(f"wallets/*/epochs/*/{document}")
    honest = path.read_bytes()
    for changed in (honest + b"#", honest[:-1], b""):
        path.write_bytes(changed)
        with pytest.raises((Tampered, HsmMpcError)) as caught:
            Round(world, certificate).commit(1)
        assert isinstance(caught.value, Tampered), changed
        assert lines(world.parties[1])[-1]["event"] == "alarm"
    path.unlink()
    with pytest.raises(Tampered):
        Round(world, certificate).commit(1)


def test_a_key_of_another_token_is_not_looked_for(worlds: Worlds) -> None:
    """The record names it with its token: a key of the same name elsewhere is another one."""
    world = worlds(2)
    certificate = made_wallet(world)
    (held,) = world.parties[1].wallets.all()
    (theirs,) = world.parties[2].wallets.all()
    moved = replace(held.record, kek_uri=theirs.record.kek_uri)
    world.parties[1].acting.epochs(held.wallet_id).change(moved)
    with pytest.raises(Tampered, match="another token"):
        Round(world, certificate).commit(1)


def test_a_wallet_whose_register_is_gone_does_not_sign(worlds: Worlds) -> None:
    """Step 6.6.1: the HSM wins over a restored disk."""
    world = worlds(2)
    certificate = made_wallet(world)
    world.parties[1].acting.registers.destroy(certificate.body.terms.wallet_id)
    with pytest.raises(Tampered, match="register"):
        Round(world, certificate).commit(1)


def test_a_signer_that_ends_forgets_its_nonces(round_: Round, party: Party) -> None:
    party.desk.forget()
    assert open_leases(party) == 0
    assert refused(lambda: round_.sign(1)) == "lease-unknown"
