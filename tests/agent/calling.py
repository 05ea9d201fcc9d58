"""A relay that knows its holders by their calls only, in this process or over their fronts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from hsm_mpc.agent.dispatch import Dispatch, HolderDesk
from hsm_mpc.agent.holdings import Holdings
from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.coordinator.certifying import assemble
from hsm_mpc.protocols.frost_bip340.aggregate import Signing, SigningList
from hsm_mpc.protocols.frost_bip340.nonces import PUBLIC_NONCE_BYTES
from hsm_mpc.protocols.frost_bip340.signers import EpochKey
from hsm_mpc.protocols.frost_bip340.tweaks import TweakedKey
from hsm_mpc.protocols.signing_messages import Commitment, CommitPayload, PartialPayload
from hsm_mpc.taproot.derivation import ExtendedKey, Path, chain_code_of
from hsm_mpc.taproot.output import SpendingKey
from hsm_mpc.wire.calls import Call, HolderMethod, parts_of
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.rounds import PROPOSAL
from tests.agent.simulate import LAB_POLICY, NOTHING, Party, World

Ask = Callable[[HolderMethod, Sequence[bytes]], tuple[bytes, ...]]
"""A call to one holder."""


def fail(unexpected: Exception) -> None:
    """What a dispatch reports in a test."""
    raise unexpected


def dispatch_of(party: Party) -> Dispatch:
    """What the signer of this party answers with."""
    holdings = Holdings(party.acting)
    desk = HolderDesk(
        party.acting,
        holdings,
        party.ceremonies,
        party.desk,
        party.successions,
        party.destructions,
        party.repairs,
        party.arrivals,
        party.rotations,
    )
    return Dispatch(desk.methods(), fail)


def asking(party: Party) -> Ask:
    """Calls to a party in this process, as bytes."""

    def ask(dispatch: Dispatch, method: HolderMethod, parts: Sequence[bytes]) -> tuple[bytes, ...]:
        return parts_of(dispatch.answer(Call(method, tuple(parts)).to_bytes()))

    return partial(ask, dispatch_of(party))


def of_all(holders: Sequence[Ask], method: HolderMethod, parts: Sequence[bytes]) -> list[bytes]:
    """The one result of each holder."""
    results = []
    for ask in holders:
        (result,) = ask(method, parts)
        results.append(result)
    return results


def prepared(world: World, holders: Sequence[Ask], name: str, t: int) -> Certificate:
    """A wallet as far as the certificate, which no holder has seen yet."""
    proposal = world.proposal(name, t)
    message = world.said(PROPOSAL, proposal.terms.wallet_id, NOTHING, NOTHING, proposal.to_bytes())
    hellos = of_all(holders, HolderMethod.PROPOSE, [message, LAB_POLICY])
    dealings = of_all(holders, HolderMethod.HELLOS, hellos)
    channels = of_all(holders, HolderMethod.CHANNEL, [])
    confirmations = of_all(holders, HolderMethod.COMMITMENTS, [*dealings, *channels])
    return assemble(proposal, hellos, dealings, confirmations)


def created(
    world: World, holders: Sequence[Ask], name: str = "treasury", t: int = 2
) -> Certificate:
    """A wallet that may sign."""
    certificate = prepared(world, holders, name, t)
    dones = of_all(holders, HolderMethod.CERTIFY, [world.certified(certificate)])
    for ask in holders:
        assert ask(HolderMethod.DONES, dones) == ()
    return certificate


def signed(
    world: World, holders: Sequence[Ask], certificate: Certificate, message: bytes
) -> tuple[bytes, bytes]:
    """A signature by all these holders, who are the first of the roster, and the key it is for."""
    body = certificate.body
    request, sent = world.requested(certificate, message)
    commits = of_all(holders, HolderMethod.REQUEST, [sent])
    channels = of_all(holders, HolderMethod.CHANNEL, [])
    answers = of_all(
        holders, HolderMethod.SIGN, [world.listed(certificate, request, commits), *channels]
    )
    listed, partials = [], {}
    for index, (commit, answer) in enumerate(zip(commits, answers, strict=True), 1):
        parsed = CommitPayload.from_bytes(parse_envelope(commit).payload, PUBLIC_NONCE_BYTES)
        listed.append(Commitment(index, 0, parsed.lease_id, parsed.public_nonce, commit))
        partials[index] = PartialPayload.from_bytes(parse_envelope(answer).payload).signature
    root = ExtendedKey(body.group_key, chain_code_of(body.hash))
    key = TweakedKey.of(body.group_key, SpendingKey.derive(root, Path()).tweaks)
    epoch_key = EpochKey.of(body.hash, body.terms.sizes.n, body.commitments)
    opened = SigningList(Signing(epoch_key, key, message), listed)
    return opened.signature(partials), key.x_only
