"""Wallets as a client sees them: keys, addresses and signatures, verified before they are shown."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from hsm_mpc.certificates.asked import Asked
from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.certificates.clients import Client
from hsm_mpc.certificates.quorum import QuorumSizes
from hsm_mpc.errors import BadEncoding, HsmMpcError, InvalidSignature, NotReady, Tampered
from hsm_mpc.groups.secp256k1 import verify_bip340
from hsm_mpc.identity import VerifyingKey
from hsm_mpc.ids import Scheme
from hsm_mpc.requests import Request, RequestType, UnsignedRequest
from hsm_mpc.roster import Roster
from hsm_mpc.tags import Tag
from hsm_mpc.taproot.derivation import ExtendedKey, Path, chain_code_of
from hsm_mpc.taproot.output import SpendingKey
from hsm_mpc.wire.calls import CoordinatorMethod
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.dones import check_all_done
from hsm_mpc.wire.transport import Transport
from hsm_mpc.wire.wallet_calls import Shown, Wish, indices_from_bytes, indices_to_bytes

CREATE_SECONDS: Final = 180.0
SIGN_SECONDS: Final = 60.0
SHOW_SECONDS: Final = 90.0
REQUEST_VALIDITY: Final = 600
"""Seconds that a request for a signature is good for."""


@dataclass(frozen=True, slots=True)
class VerifiedWallet:
    """A wallet whose certificate and DONEs were verified under the pinned roster."""

    certificate: Certificate

    @property
    def root(self) -> ExtendedKey:
        """The threshold key with its chain code: what addresses are derived from."""
        body = self.certificate.body
        return ExtendedKey(body.group_key, chain_code_of(body.hash))

    def spending_key(self, path: Path) -> SpendingKey:
        """The key of the address at `path`."""
        return SpendingKey.derive(self.root, path)


@dataclass(frozen=True, slots=True)
class VerifiedSignature:
    """A signature that was verified under the key at `path`."""

    request_id: bytes
    signature: bytes
    message: bytes
    public_key: bytes
    signers: tuple[int, ...]


class WalletClient:
    """One client with its request key, one coordinator, one pinned roster.

    `sign(tag, message)` is the request key's signature over `TH(tag, message)`.
    """

    def __init__(
        self,
        coordinator: Transport,
        roster: Roster,
        name: str,
        key: VerifyingKey,
        sign: Callable[[Tag, bytes], bytes],
        clock: Callable[[], int],
    ) -> None:
        self.roster: Final = roster
        self._coordinator = coordinator
        self._client = Client(name, key)
        self._sign = sign
        self._clock = clock
        self._keys = KeyBook(roster, {})

    def create(
        self, name: str, scheme: Scheme, threshold: int, policy_file: bytes
    ) -> VerifiedWallet:
        """Have a wallet made by all holders of the roster.

        Raises:
            Tampered: what came back is not the wallet that was asked for.
            NameTaken, Refused, ProtocolAbort, NotReady, BackendError: what the holders say.
        """
        sizes = QuorumSizes.default(self.roster.n, threshold)
        wish = Wish(name, scheme, threshold, (self._client,))
        parts = self._coordinator.call(
            CoordinatorMethod.CREATE, [wish.to_bytes(), policy_file], CREATE_SECONDS
        )
        wallet = self._verified(Shown.from_parts(parts))
        Asked(
            name=name,
            scheme=scheme,
            sizes=sizes,
            roster_hash=self.roster.hash,
            policy_hash=hashlib.sha256(policy_file).digest(),
            clients=(self._client,),
        ).check(wallet.certificate)
        return wallet

    def show(self, name: str) -> VerifiedWallet:
        """The wallet called `name`.

        Raises:
            Tampered: it does not verify, or is another wallet's certificate.
            BadInput, NotReady, BackendError: there is none, it is not active, nobody answers.
        """
        encoded = name.encode("ascii", "replace")
        parts = self._coordinator.call(CoordinatorMethod.SHOW, [encoded], SHOW_SECONDS)
        wallet = self._verified(Shown.from_parts(parts))
        if wallet.certificate.body.terms.name != name:
            raise Tampered(f"the certificate shown for {name!r} is another wallet's")
        return wallet

    def names(self) -> tuple[str, ...]:
        """The names of all wallets, as the coordinator says."""
        parts = self._coordinator.call(CoordinatorMethod.LIST, [], SHOW_SECONDS)
        return tuple(part.decode("ascii", "replace") for part in parts)

    def sign(
        self,
        wallet: VerifiedWallet,
        kind: RequestType,
        content: bytes,
        path: Path,
        signers: Sequence[int],
    ) -> VerifiedSignature:
        """A signature by a quorum, verified here before anybody sees it.

        Raises:
            Tampered: what came back is no signature of this message under this key.
            Refused, QuorumUnreachable, BackendError: what holders and coordinator say.
        """
        request = self._request(wallet, kind, content, path)
        parts = self._coordinator.call(
            CoordinatorMethod.SIGN,
            [request.to_bytes(), indices_to_bytes(signers)],
            SIGN_SECONDS,
        )
        if len(parts) != 3:
            raise BadEncoding(f"a signature in {len(parts)} parts")
        key = wallet.spending_key(path).output_key
        try:
            verify_bip340(key, content, parts[0])
        except InvalidSignature as forged:
            raise Tampered("the coordinator gave a signature that does not verify") from forged
        return VerifiedSignature(request.id, parts[0], content, key, indices_from_bytes(parts[1]))

    def _request(
        self, wallet: VerifiedWallet, kind: RequestType, content: bytes, path: Path
    ) -> Request:
        unsigned = UnsignedRequest(
            wallet_id=wallet.certificate.body.terms.wallet_id,
            kind=kind,
            content=content,
            paths=(path,),
            script_root=b"",
            policy_evidence=b"",
            not_after=self._clock() + REQUEST_VALIDITY,
            nonce=os.urandom(32),
        )
        message = unsigned.signed_message(self._client.key)
        return Request(unsigned, self._client.key, self._sign(Tag.CLIENT, message))

    def _verified(self, shown: Shown) -> VerifiedWallet:
        """Certificate and DONEs under the pinned roster (steps 2.6.7 and 2.6.8)."""
        try:
            certificate = Certificate.from_bytes(shown.certificate)
            certificate.verify(self.roster)
            if not shown.dones:
                raise NotReady("not every holder has confirmed this wallet yet")
            check_all_done(self._keys, certificate, shown.dones, self._clock())
        except NotReady:
            raise
        except HsmMpcError as forged:
            raise Tampered(f"the coordinator shows what does not verify: {forged}") from forged
        return VerifiedWallet(certificate)
