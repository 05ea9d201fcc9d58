"""A signature that a client requests: in which epoch, and by whom, until one quorum has signed."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.coordinator.announced import AnnouncedChannels
from hsm_mpc.coordinator.evidence import EvidenceFolder
from hsm_mpc.coordinator.keygen import CoSign
from hsm_mpc.coordinator.links import HolderLinks
from hsm_mpc.coordinator.refresh import Refresher
from hsm_mpc.coordinator.registry import Registered
from hsm_mpc.coordinator.rosters import Rosters
from hsm_mpc.coordinator.signing import Signed, SigningRun
from hsm_mpc.coordinator.successions import first_body
from hsm_mpc.coordinator.wallets import Wallets
from hsm_mpc.errors import BadEncoding, BadInput, Declined, QuorumUnreachable
from hsm_mpc.ids import EpochHash
from hsm_mpc.policy.facts import facts_of
from hsm_mpc.protocols.wallet_key import WalletKey
from hsm_mpc.protocols.wallet_keys import wallet_key_of
from hsm_mpc.requests import Request
from hsm_mpc.wire.wallet_calls import indices_from_bytes, indices_to_bytes

SIGNING_SECONDS: Final = 30.0
"""How long a signature may wait for holders that are too slow."""

_WALLETS_KEPT: Final = 256


class SignatureRequests:
    """Those that one coordinator has signed; used by several threads."""

    def __init__(
        self,
        links: HolderLinks,
        channels: AnnouncedChannels,
        number: int,
        sign: CoSign,
        clock: Callable[[], int],
        evidence: EvidenceFolder,
        rosters: Rosters,
        refresher: Refresher,
        wallets: Wallets,
    ) -> None:
        self._links = links
        self._channels = channels
        self._number = number
        self._sign = sign
        self._clock = clock
        self._evidence = evidence
        self._rosters = rosters
        self._refresher = refresher
        self._wallets = wallets

    def signed(self, encoded: bytes, wanted: bytes) -> tuple[bytes, bytes, bytes]:
        """REQ, signers or nothing → signature, signers, h_e.

        Raises:
            BadEncoding: it is no request for one signature.
            NotReady: no such wallet is active.
            BadInput: signers that are not in the roster.
            Declined, QuorumUnreachable, ProtocolAbort, BackendError: as `SigningRun.run`.
        """
        request = Request.from_bytes(encoded)
        if len(request.content.paths) != 1:
            raise BadEncoding("a request for one signature names one path")
        wallet = self._wallets.active(request.content.wallet_id)
        candidates = frozenset(indices_from_bytes(wanted) or self._links.indices)
        if not candidates.issubset(self._links.indices):
            raise BadInput("signers that are not in the roster")
        names = frozenset(map(self._links.name, candidates))
        body = self._refresher.signing(wallet, names)
        while True:
            try:
                signed = self._signed_in(body, wallet, request, encoded, names)
            except (Declined, QuorumUnreachable):
                tried, body = body, self._refresher.signing(wallet, names)
                if body == tried:
                    raise
            else:
                signers = self._links.places(signed.signers, self._rosters.of_epoch(body))
                return (signed.signature, indices_to_bytes(signers), body.hash)

    def _signed_in(
        self,
        body: EpochBody,
        wallet: Registered,
        request: Request,
        encoded: bytes,
        names: frozenset[str],
    ) -> Signed:
        """A signature in one epoch; another one may take its place meanwhile (step 6.5.8)."""
        key = _key_of(body, first_body(wallet.certificate).hash)
        links = self._refresher.links_of(body)
        candidates = frozenset(k for k in links.indices if links.name(k) in names)
        run = SigningRun(
            links=links,
            channels=self._channels,
            number=self._number,
            sign=self._sign,
            clock=self._clock,
            wallet_id=body.terms.wallet_id,
            epoch_hash=body.hash,
            session_id=request.session_id(body.hash),
            nonce_bytes=key.nonce_bytes,
            request=encoded,
            remind=self._reminder(wallet, body),
            report=self._evidence.among(links.roster).keep,
            keys=self._rosters.newest(body.terms),
        )
        message = facts_of(request, body.terms.scheme).message
        path = request.content.paths[0]
        key.require_path(path)
        signing = key.aggregation(path, message)
        return run.run(signing, body.terms.sizes.t, candidates, SIGNING_SECONDS)

    def _reminder(self, wallet: Registered, body: EpochBody) -> Callable[[int], None]:
        relay, roster = self._wallets.relay_of(wallet), self._rosters.of_epoch(body)

        def remind(index: int) -> None:
            index = relay.links.roster.index_of(roster.member(index).name)
            certificate = Certificate.from_bytes(wallet.certificate)
            relay.remind(index, certificate, wallet.dones)

        return remind


@lru_cache(_WALLETS_KEPT)
def _key_of(body: EpochBody, first: EpochHash) -> WalletKey:
    """What an aggregator computes from an epoch, once."""
    return wallet_key_of(body, first)
