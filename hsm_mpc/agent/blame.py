"""BLAME: a holder that was dealt a false share gives its one-time key away to prove it (2.6.9).

    u16be(j) ‖ d_i[32] ‖ LV32(HELLO_j) ‖ LV32(msg1_j) ‖ LV32(CHANNEL_j)

Only once its session is durably dead and its signature was never released: then d_i opens nothing
but shares that nobody ever uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hsm_mpc.agent.acting import NO_EPOCH, ActingHolder
from hsm_mpc.agent.keygen import KeyGeneration
from hsm_mpc.certificates.channel import Channel
from hsm_mpc.certificates.hello import Hello, session_id_of
from hsm_mpc.certificates.proposal import Proposal
from hsm_mpc.encoding import Reader, lv32, u16be
from hsm_mpc.errors import BadEncoding, BadInput, HsmMpcError, InvalidSignature, ProtocolAbort
from hsm_mpc.protocols.dealing_checks import dealt_soundly, verify_possession
from hsm_mpc.protocols.dkg_messages import Dealing1, Setup, agree
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.roster import Roster
from hsm_mpc.secure.arena import Arena, move_bytes, publish
from hsm_mpc.tags import Tag
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import Message, parse_envelope
from hsm_mpc.wire.inbox import Expected, Inbox, decoded
from hsm_mpc.wire.rounds import BLAME, COMMITMENTS, HELLO


@dataclass(frozen=True, slots=True)
class Accusation:
    """Payload of BLAME. `static` is d of the accuser, public from now on."""

    accused: int
    static: bytes
    hello: bytes
    dealing: bytes
    channel: bytes

    def to_bytes(self) -> bytes:
        """The payload."""
        return (
            u16be(self.accused)
            + self.static
            + lv32(self.hello)
            + lv32(self.dealing)
            + lv32(self.channel)
        )

    @classmethod
    def from_bytes(cls, source: bytes) -> Accusation:
        """Inverse of `to_bytes`; `BadEncoding` for anything else."""
        reader = Reader(source, "blame")
        accusation = cls(
            reader.u16be(), reader.take(32), reader.lv32(), reader.lv32(), reader.lv32()
        )
        reader.end()
        return accusation


def accusations(
    holder: ActingHolder, session: KeyGeneration, culprits: Sequence[int]
) -> tuple[bytes, ...]:
    """A BLAME message against each culprit whose fault its signed messages alone do not show.

    The session must be durably dead; its sealed share, if any, was never signed for. With the
    first of them d_i is public.
    """
    accusable = session.accusable()
    if accusable is None:
        return ()
    setup, static = accusable
    dealings, made = session.messages_of(COMMITMENTS), []
    for accused in [each for each in culprits if each in dealings]:
        dealing = dealings[accused]
        if _own_words_convict(setup, dealing) or dealt_soundly(
            setup, setup.me, static, accused, Dealing1.from_bytes(dealing.payload, setup)
        ):
            continue
        accusation = Accusation(
            accused,
            publish(static),  # released by step 2.6.9
            session.messages_of(HELLO)[accused].to_bytes(),
            dealing.to_bytes(),
            _channel_of(holder.keys, dealing),
        )
        made.append(
            holder.identity_message(
                BLAME,
                session.files.wallet_id,
                dealing.address.session_id,
                accusation.to_bytes(),
            )
        )
    return tuple(made)


def judge(
    source: bytes,
    proposal: Proposal,
    hellos: Sequence[bytes],
    roster: Roster,
    suite: Suite,
    arena: Arena,
) -> int:
    """Who lied: the accused dealer, or the accuser. Everybody comes to the same answer.

    Args:
        source: the BLAME message.
        hellos: the n HELLO messages that name the session.

    Raises:
        BadEncoding, BadInput, InvalidSignature: these are not signed messages of one session.
    """
    keys, wallet_id = KeyBook(roster, {}), proposal.terms.wallet_id
    inbox, now = Inbox(keys), 0  # identity keys do not expire
    greeted = []
    for index, message in enumerate(hellos, 1):
        expected = Expected(HELLO, wallet_id, proposal.hash, NO_EPOCH, (index,))
        greeted.append(inbox.receive(message, expected, now).payload)
    session_id = session_id_of(proposal.hash, hellos)
    everybody = range(1, roster.n + 1)
    expected = Expected(BLAME, wallet_id, session_id, NO_EPOCH, everybody)
    blame = inbox.receive(source, expected, now)
    accuser = blame.address.sender
    try:
        accusation = decoded(blame, Accusation.from_bytes)
        dealing = _dealing_of(accusation, hellos, roster, (wallet_id, session_id))
    except (HsmMpcError, ValueError):
        return accuser  # it signed what is no accusation at all
    static_keys = [Hello.from_bytes(payload, suite.group).static_key for payload in greeted]
    setup = agree(
        suite,
        proposal.sizes.t,
        static_keys,
        accuser,
        static_keys[accuser - 1],
        session_id,
        b"",
    )
    if _own_words_convict(setup, dealing):
        return accusation.accused
    sound = _opened_soundly(setup, accusation, Dealing1.from_bytes(dealing.payload, setup), arena)
    return accuser if sound else accusation.accused


def _dealing_of(
    accusation: Accusation, hellos: Sequence[bytes], roster: Roster, session: tuple[bytes, bytes]
) -> Message:
    """msg1 of the accused in this session, signed under its channel, whenever that was valid.

    Raises:
        BadInput, InvalidSignature: it is not.
    """
    accused = accusation.accused
    channel = Channel.from_bytes(accusation.channel, roster.member(accused).key)
    message = parse_envelope(accusation.dealing)
    address = message.address
    if accusation.hello != hellos[accused - 1]:
        raise BadInput("blame: the hello of the accused is another one")
    if message.kind is not COMMITMENTS:
        raise BadInput("blame: no dealing")
    if (address.sender, address.wallet_id, address.session_id) != (accused, *session):
        raise BadInput("blame: a dealing of another session or holder")
    channel.verify(Tag.ENVELOPE, message.signed_part, message.signature)
    return message


def _own_words_convict(setup: Setup, message: Message) -> bool:
    """Whether the signed msg1 alone is a fault: it does not parse, or its proof is false."""
    try:
        dealing = Dealing1.from_bytes(message.payload, setup)
        verify_possession(setup, message.address.sender, dealing)
    except (BadEncoding, InvalidSignature):
        return True
    return False


def _opened_soundly(setup: Setup, accusation: Accusation, dealing: Dealing1, arena: Arena) -> bool:
    """What the accuser says it could not open, opened; True too if its key is not its own."""
    group = setup.suite.group
    with arena.scope() as take:
        static = take(group.scalar_length)
        with static.open() as address:
            move_bytes(address, accusation.static, group.scalar_length)
            if not group.is_canonical_nonzero_at(address):
                return True
            if group.public_point_at(address) != setup.key_of(setup.me):
                return True
        return dealt_soundly(setup, setup.me, static, accusation.accused, dealing)


def _channel_of(keys: KeyBook, message: Message) -> bytes:
    """The CHANNEL under which a message verified that was received.

    Raises:
        ProtocolAbort: it is not known any more.
    """
    for channel in keys.channels(message.address.sender):
        try:
            channel.verify(Tag.ENVELOPE, message.signed_part, message.signature)
        except InvalidSignature:
            continue
        return channel.to_bytes()
    raise ProtocolAbort(f"the channel of holder {message.address.sender} is not known any more")
