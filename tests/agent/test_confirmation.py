"""CERT, DONE, and when a key is one (steps 2.6.7 and 2.6.8)."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from hsm_mpc.agent.evidence import Case
from hsm_mpc.certificates.certificate import Acknowledgement, Certificate
from hsm_mpc.certificates.done import Done
from hsm_mpc.errors import (
    BackendError,
    BadEncoding,
    HsmMpcError,
    InvalidSignature,
    NotReady,
    ProtocolAbort,
    Refused,
    Tampered,
)
from hsm_mpc.groups.secp256k1 import SECP256K1
from hsm_mpc.hsm import keys
from hsm_mpc.hsm.register import Register
from hsm_mpc.hsm.uri import KeyUri
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.secure.process import run_shielded
from hsm_mpc.store.epochs import EpochDocument
from hsm_mpc.store.record import EpochState
from hsm_mpc.tags import Tag
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import Address, parse_envelope, seal_envelope
from hsm_mpc.wire.rounds import CERTIFICATE, FIRST_COORDINATOR, Key
from tests.agent.faults import failing_at
from tests.agent.making import Making, events, lines, resigned, states
from tests.agent.simulate import Party, World, Worlds
from tests.named_steps import observed
from tests.software_identity import ed25519_key, p256_key

pytestmark = pytest.mark.usefixtures("shielded")


@pytest.fixture
def making(world: World) -> Making:
    return Making.of(world).confirmed()


@pytest.fixture
def party(world: World) -> Party:
    return world.parties[1]


def shown(making: Making, certificate: Certificate, index: int = 1) -> bytes:
    return making.world.parties[index].ceremonies.certify(making.world.certified(certificate))


# CERT


def test_a_certificate_is_answered_by_done(making: Making, party: Party) -> None:
    done = making.certify(1)
    assert states(party) == [EpochState.CERTIFIED]
    (held,) = party.wallets.all()
    said = Done.from_bytes(parse_envelope(done).payload, SECP256K1)
    assert (said.epoch_hash, said.blob_digest) == (held.body.hash, held.record.blob_digest)
    assert making.certify(1) == done
    assert events(party)[-1] == "keygen-certified"


def test_a_certificate_may_be_forwarded_by_a_holder(making: Making, party: Party) -> None:
    """Step 1.7.2: it proves itself, so key 1 is as good as key 3."""
    other = making.world.parties[2].acting
    address = parse_envelope(making.certified()).address
    message = other.channel_message(
        CERTIFICATE, replace(address, sender=2), making.certificate().to_bytes()
    ).to_bytes()
    with pytest.raises(BackendError, match="no valid channel of holder 2"):
        making.world.restarted(1)
        making.world.parties[1].ceremonies.certify(message)
    party = making.world.parties[1]
    party.acting.learn_channel(2, other.channel_announcement())
    party.ceremonies.certify(message)
    assert states(party) == [EpochState.CERTIFIED]


@pytest.mark.parametrize(
    "changes",
    [
        {"session_id": bytes(32)},
        {"epoch_hash": EpochHash(b"h" * 32)},
        {"receiver": 1},
        {"sender": FIRST_COORDINATOR + 1},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_certificate_in_another_envelope_is_refused(
    making: Making, changes: dict[str, object]
) -> None:
    address: Address = replace(parse_envelope(making.certified()).address, **changes)  # type: ignore[arg-type]
    message = seal_envelope(
        CERTIFICATE,
        address,
        making.certificate().to_bytes(),
        Key.COORDINATOR,
        making.world.coordinator.sign,
    )
    with pytest.raises(BadEncoding):
        making.world.parties[1].ceremonies.certify(message.to_bytes())


def test_a_certificate_signed_by_no_coordinator_of_ours_is_refused(making: Making) -> None:
    making.world.coordinator = ed25519_key(b"9" * 32)
    with pytest.raises(InvalidSignature):
        making.certify(1)


def test_a_garbled_certificate_is_refused(making: Making, party: Party) -> None:
    message = parse_envelope(making.certified())
    for payload in (b"", message.payload[:-1], message.payload + b"\0"):
        garbled = making.world.said(
            CERTIFICATE, making.wallet_id, message.address.session_id, bytes(32), payload
        )
        with pytest.raises(BadEncoding):
            party.ceremonies.certify(garbled)
    assert states(party) == [EpochState.PREPARED]


def test_n_minus_1_signatures_do_not_certify(making: Making, party: Party) -> None:
    """Step 2.5.12: each of them in turn."""
    certificate = making.certificate()
    for position in range(3):
        signatures = list(certificate.signatures)
        signatures[position] = signatures[position - 1]
        with pytest.raises(Tampered, match=f"signature of holder {position + 1}"):
            shown(making, replace(certificate, signatures=tuple(signatures)))
    assert states(party) == [EpochState.PREPARED]


def test_n_minus_1_acknowledgements_do_not_certify(making: Making, party: Party) -> None:
    certificate = making.certificate()
    for position in range(3):
        acks: list[Acknowledgement] = list(certificate.acknowledgements)
        acks[position] = replace(acks[position], signature=acks[position - 1].signature)
        with pytest.raises(Tampered, match=f"acknowledgement of holder {position + 1}"):
            shown(making, replace(certificate, acknowledgements=tuple(acks)))
    assert states(party) == [EpochState.PREPARED]


def test_a_certificate_under_another_roster_is_refused(making: Making, party: Party) -> None:
    *members, last = party.acting.roster.members
    pinned = replace(party.acting.roster, members=(*members, replace(last, key=p256_key(9).public)))
    party.ceremonies._holder = replace(party.acting, roster=pinned, keys=KeyBook(pinned, {}))
    with pytest.raises(Tampered, match="another roster"):
        making.certify(1)


def test_a_certificate_of_another_wallet_is_refused(making: Making, party: Party) -> None:
    """A coordinator that shows another wallet's certificate: of holders where this one is not."""
    other = Making.of(making.world, "other").confirmed()
    certificate = other.certificate()
    party.ceremonies.discard(other.wallet_id)
    with pytest.raises(Refused) as refused:
        shown(making, certificate)
    assert refused.value.rule == "unknown-wallet"
    body = replace(certificate.body, terms=making.certificate().body.terms)
    with pytest.raises(Tampered):
        shown(making, replace(certificate, body=body))
    assert states(party) == [EpochState.PREPARED]


def test_a_certificate_of_another_blob_is_refused(making: Making, party: Party) -> None:
    """The own record says what the own ACK was given for."""
    (held,) = party.wallets.all()
    certificate = making.certificate()
    blob = party.acting.epochs(making.wallet_id).blob(held.body.hash)
    epochs = party.acting.epochs(making.wallet_id)
    epochs.seal(held.record, blob + b"\0")  # a rewrap, say
    with pytest.raises(Refused) as refused:
        shown(making, certificate)
    assert refused.value.rule == "other-share"


def test_two_certificates_of_one_epoch_are_one(making: Making, party: Party) -> None:
    """An ECDSA signature may be given twice; a crash before the first was answered."""
    certificate = making.certificate()
    acks = list(certificate.acknowledgements)
    acting = making.world.parties[3].acting
    message = certificate.body.hash + b"\0\3" + acks[2].kek_digest + acks[2].blob_digest
    acks[2] = replace(acks[2], signature=acting.identity.sign(Tag.ACK, message))
    twin = replace(certificate, acknowledgements=tuple(acks))
    epochs = party.acting.epochs(making.wallet_id)
    epochs.keep(certificate.body.hash, EpochDocument.CERTIFICATE, twin.to_bytes())
    making.certify(1)
    assert states(party) == [EpochState.CERTIFIED]


@pytest.mark.long
def test_certifying_that_fails_at_any_step_goes_on_where_it_was(worlds: Worlds) -> None:
    """Step 1.7.4: one DONE, whatever happens."""
    world = worlds(2)
    number = 0
    while True:
        making = Making.of(world, f"w{number}").confirmed()
        party = world.parties[1]
        try:
            with failing_at(number):
                making.certify(1)
        except BackendError:
            done = making.certify(1)
            assert making.certify(1) == done
            making.dones = [done, making.certify(2)]
            making.activate(1)
            assert party.acting.store.proposals.hashes() == ()
            number += 1
        else:
            break
    assert number > 10


def test_two_threads_give_one_done(making: Making, party: Party) -> None:
    certificate = making.certified()
    given: list[bytes] = []

    def certify() -> None:
        given.append(party.ceremonies.certify(certificate))

    threads = [threading.Thread(target=run_shielded, args=(certify,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(given) == 4
    assert len(set(given)) == 1


# DONE is said of a share that opens


def test_a_share_that_does_not_open_any_more_is_never_done(making: Making, party: Party) -> None:
    """Step 2.6.8, M7: the HSM has lost its key since the ACK."""
    (held,) = party.wallets.all()
    label = keys.wrapping_label(making.wallet_id)
    key_id = KeyUri.parse(held.record.kek_uri).key_id
    keys.destroy(party.acting.token, keys.wrapping_key(party.acting.token, key_id, label))
    with pytest.raises(Tampered, match="missing"):
        making.certify(1)
    assert states(party) == [EpochState.PREPARED]


@pytest.mark.parametrize("register", [None, Register(EpochHash(b"h" * 32))])
def test_a_register_that_disagrees_is_tampering(
    making: Making, party: Party, register: Register | None
) -> None:
    """Step 6.6.1: the HSM wins."""
    party.acting.registers.destroy(making.wallet_id)
    if register is not None:
        party.acting.registers.write(making.wallet_id, register)
    with pytest.raises(Tampered, match="register"):
        making.certify(1)
    assert states(party) == [EpochState.PREPARED]


# DONE of all


def test_certified_holder_signs_nothing(making: Making, party: Party) -> None:
    """Step 2.6.8, and key_is_not_published_before_n_done."""
    certificate = making.certificate()
    for stage in ("prepared", "certified"):
        if stage == "certified":
            making.certify(1)
        _, request = making.world.requested(certificate, b"message")
        with pytest.raises(NotReady, match="treasury is not active in this epoch"):
            party.desk.request(request)
        assert events(party)[-1] == "refused"


@pytest.fixture
def done(making: Making) -> Making:
    making.dones = [making.certify(index) for index in (1, 2, 3)]
    return making


def test_n_dones_make_a_wallet_active(done: Making, party: Party) -> None:
    done.activate(1)
    done.activate(1)
    assert states(party) == [EpochState.ACTIVE]
    assert events(party).count("keygen-active") == 1


def refuses(done: Making, kind: type[HsmMpcError], text: str) -> HsmMpcError:
    with pytest.raises(kind, match=text) as caught:
        done.activate(1)
    (held,) = done.world.parties[1].wallets.of(done.wallet_id)
    assert held.record.state is EpochState.CERTIFIED
    return caught.value


def test_one_done_too_few_is_refused(done: Making) -> None:
    dones = done.dones
    for left in ([dones[0], dones[1]], [*dones, dones[2]], [dones[0], dones[1], dones[1]]):
        done.dones = left
        refuses(done, BadEncoding, "DONE")
    done.dones = []
    with pytest.raises(BadEncoding, match="no done"):
        done.activate(1)


def test_a_done_that_contradicts_the_certificate_names_its_sender(done: Making) -> None:
    said = Done.from_bytes(parse_envelope(done.dones[2]).payload, SECP256K1)
    lie = replace(said, blob_digest=bytes(32))
    done.dones[2] = resigned(done.world, done.dones[2], lie.to_bytes())
    abort = refuses(done, ProtocolAbort, "not say what the certificate says")
    assert isinstance(abort, ProtocolAbort)
    assert abort.culprits == (3,)


def test_a_done_that_contradicts_the_certificate_is_kept_as_evidence(
    done: Making, party: Party
) -> None:
    """Nobody is named without proof; what the relay breaks leaves no line."""
    honest, before = list(done.dones), events(party)
    done.dones[2] = honest[2][:-1] + bytes([honest[2][-1] ^ 1])
    refuses(done, InvalidSignature, "envelope")
    assert events(party) == before
    said = Done.from_bytes(parse_envelope(honest[2]).payload, SECP256K1)
    lie = replace(said, kek_digest=bytes(32))
    done.dones[2] = resigned(done.world, honest[2], lie.to_bytes())
    refuses(done, ProtocolAbort, "not say what the certificate says")
    name = str(lines(party)[-1]["evidence"])
    case = Case.from_bytes(party.acting.store.evidence.load(name))
    assert case.messages == tuple(done.dones)


def test_the_own_done_altered_aborts_without_culprit(done: Making) -> None:
    """Step 1.7.5: it was signed a second time, and not by us."""
    done.dones[0] = resigned(done.world, done.dones[0])
    abort = refuses(done, ProtocolAbort, "own done came back altered")
    assert isinstance(abort, ProtocolAbort)
    assert abort.culprits == ()


def test_dones_of_another_wallet_are_refused(done: Making) -> None:
    other = Making.of(done.world, "other").confirmed()
    other.dones = [other.certify(index) for index in (1, 2, 3)]
    done.dones[1] = other.dones[1]
    refuses(done, BadEncoding, "wallet")


def test_dones_before_the_certificate_wait(making: Making, party: Party) -> None:
    making.dones = [making.certify(2), making.certify(2), making.certify(3)]
    with pytest.raises(NotReady, match="no certificate"):
        making.activate(1)
    assert states(party) == [EpochState.PREPARED]


def test_dones_of_an_unknown_wallet_are_refused(done: Making, party: Party) -> None:
    address = replace(
        parse_envelope(done.dones[0]).address, wallet_id=WalletId(b"another wallet..")
    )
    done.dones = [resigned(done.world, done.dones[0], None, address)]
    with pytest.raises(Refused) as refused:
        done.activate(1)
    assert refused.value.rule == "unknown-wallet"
    address = replace(parse_envelope(done.dones[0]).address, wallet_id=done.wallet_id)
    done.dones = [resigned(done.world, done.dones[0], None, replace(address, session_id=bytes(32)))]
    refuses(done, NotReady, "no certificate")


def test_activating_that_fails_at_any_step_goes_on_where_it_was(worlds: Worlds) -> None:
    world = worlds(2)
    number = 0
    while True:
        making = Making.of(world, f"w{number}").done()
        try:
            with failing_at(number):
                making.activate(1)
        except BackendError:
            making.activate(1)
            number += 1
        else:
            break
        (held,) = world.parties[1].wallets.of(making.wallet_id)
        assert held.record.state is EpochState.ACTIVE
    assert number > 7


@pytest.mark.parametrize("event", ["keygen-certified", "keygen-active"])
def test_no_line_no_change(done: Making, party: Party, event: str) -> None:
    """Step 3.4.15: the line is durable before what it tells of takes effect."""
    order: list[str] = []
    other = Making.of(done.world, "other").confirmed()
    with observed(lambda when, name: order.append(name) if when == "after" else None):
        if event == "keygen-certified":
            other.certify(1)
        else:
            done.activate(1)
    assert events(party)[-1] == event
    assert order.index("audit.line") < order.index("record.rename")


def test_a_damaged_certificate_on_disk_is_tampering(done: Making, party: Party) -> None:
    (path,) = party.acting.store._folder.glob("wallets/*/epochs/*/certificate")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(Tampered, match="the kept certificate"):
        done.activate(1)
