"""Signing by real holders, judged by an independent verifier."""

from __future__ import annotations

from functools import partial
from itertools import combinations

import coincurve

from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.protocols.frost_bip340.aggregate import Signing, SigningList
from hsm_mpc.protocols.frost_bip340.nonces import PUBLIC_NONCE_BYTES
from hsm_mpc.protocols.signing_messages import Commitment, CommitPayload, PartialPayload
from hsm_mpc.secure.process import run_shielded
from hsm_mpc.taproot.derivation import Path
from hsm_mpc.wire.envelope import parse_envelope
from tests.agent.simulate import World, made_wallet


def signed(
    world: World, certificate: Certificate, signers: tuple[int, ...], message: bytes
) -> tuple[bytes, bytes]:
    """A signature by these holders, and the key it is for."""
    request, sent = world.requested(certificate, message)
    commits = [world.parties[index].desk.request(sent)[0] for index in signers]
    sign = world.listed(certificate, request, commits)
    channels = [world.parties[index].acting.channel_announcement() for index in signers]
    partials = {}
    for index in signers:
        (answer,) = world.parties[index].desk.sign(sign, channels)
        partials[index] = PartialPayload.from_bytes(parse_envelope(answer).payload).signature
    wallet = world.parties[1].wallets.signing(
        certificate.body.terms.wallet_id, certificate.body.hash
    )
    key = wallet.signing_key(Path())
    listed = []
    for index, commit in zip(signers, commits, strict=True):
        parsed = CommitPayload.from_bytes(parse_envelope(commit).payload, PUBLIC_NONCE_BYTES)
        listed.append(Commitment(index, 0, parsed.lease_id, parsed.public_nonce, commit))
    opened = SigningList(Signing(wallet.epoch_key, key, message), listed)
    return opened.signature(partials), key.x_only


def test_every_quorum_signs_and_coincurve_agrees(world: World) -> None:
    certificate = run_shielded(lambda: made_wallet(world))
    for size in (2, 3):
        for signers in combinations((1, 2, 3), size):
            message = b"pay %d" % sum(signers)
            signature, key = run_shielded(partial(signed, world, certificate, signers, message))
            assert coincurve.PublicKeyXOnly(key).verify(signature, message)
