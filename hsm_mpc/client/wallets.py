"""Wallets as a client sees them: keys, addresses and signatures, verified before they are shown."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from hsm_mpc.certificates.asked import Asked
from hsm_mpc.certificates.clients import Client
from hsm_mpc.certificates.order import Order
from hsm_mpc.certificates.quorum import QuorumSizes
from hsm_mpc.certificates.signed_order import OrderSignature
from hsm_mpc.client.blame import HoldersBlamed
from hsm_mpc.client.known import KnownWallets, Meaning, require_known
from hsm_mpc.client.ordering import AskedOrder, repair_plan_in
from hsm_mpc.client.verified import VerifiedEnd, VerifiedWallet, verified, verified_end
from hsm_mpc.encoding import u16be, u32be
from hsm_mpc.errors import (
    BadEncoding,
    BadInput,
    HsmMpcError,
    InvalidSignature,
    NameTaken,
    ProtocolAbort,
    Refused,
    Tampered,
)
from hsm_mpc.identity import VerifyingKey
from hsm_mpc.ids import EpochHash, Scheme, checked_name
from hsm_mpc.requests import Request, RequestType, UnsignedRequest
from hsm_mpc.roster import Roster
from hsm_mpc.succession.order_plan import OrderPlan, RepairPlan
from hsm_mpc.tags import Tag
from hsm_mpc.taproot.derivation import Path
from hsm_mpc.wire.calls import CoordinatorMethod
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import bundle
from hsm_mpc.wire.transport import Transport
from hsm_mpc.wire.wallet_calls import (
    Chain,
    Shown,
    ShownSuccession,
    Wish,
    indices_from_bytes,
    indices_to_bytes,
    successions_from_parts,
)

CREATE_SECONDS: Final = 180.0
SIGN_SECONDS: Final = 60.0
SHOW_SECONDS: Final = 90.0
REFRESH_SECONDS: Final = 180.0
DESTROY_SECONDS: Final = 180.0
REPAIR_SECONDS: Final = 240.0
RESHARE_SECONDS: Final = 240.0
ORDER_SECONDS: Final = 180.0
_MOST_EPOCHS: Final = 20_000
"""One each hour for two years."""
LARGEST_CHAIN: Final = 1 << 29
"""Bytes: so many epochs of ten holders have fewer."""
REQUEST_VALIDITY: Final = 600
"""Seconds that a request for a signature is good for."""


@dataclass(frozen=True, slots=True)
class VerifiedSignature:
    """A signature that was verified under the key at `path`."""

    request_id: bytes
    signature: bytes
    message: bytes
    public_key: bytes
    signers: tuple[int, ...]
    epoch_hash: bytes
    """Which epoch signed, as the coordinator says."""


class WalletClient:
    """One client with its request key, one coordinator, one pinned roster.

    `sign(tag, message)` is the request key's signature over `TH(tag, message)`; `known` are the
    wallets of some holders that it takes for those that it means (step 5.4.1).
    """

    def __init__(
        self,
        coordinator: Transport,
        roster: Roster,
        name: str,
        key: VerifyingKey,
        sign: Callable[[Tag, bytes], bytes],
        clock: Callable[[], int],
        known: KnownWallets,
    ) -> None:
        self.roster: Final = roster
        self.known: Final = known
        self._coordinator = coordinator
        self._client = Client(name, key)
        self._sign = sign
        self._clock = clock
        self._keys = KeyBook(roster, {})

    def create(
        self,
        name: str,
        scheme: Scheme,
        threshold: int,
        policy_file: bytes,
        holders: Sequence[str] = (),
    ) -> VerifiedWallet:
        """Have a wallet made by these holders of the pinned roster; by all, if none are named.

        Raises:
            BadInput: such a name, scheme or threshold is not possible.
            Tampered: what came back is not the wallet that was asked for.
            NotKnown: this client knows another wallet of some holders by that name.
            NameTaken, Refused, ProtocolAbort, NotReady, BackendError: what the holders say.
        """
        checked_name(name, "wallet")
        if scheme is Scheme.ECDSA:
            raise BadInput("scheme ecdsa: this version makes taproot and ed25519 wallets")
        roster = self.roster.among(holders) if holders else self.roster
        sizes = QuorumSizes.default(roster.n, threshold)
        sizes.check_policy(scheme)
        wish = Wish(name, scheme, threshold, (self._client,), self._places(holders))
        with self._meaning(name, roster):
            parts = self._called(
                CoordinatorMethod.CREATE, [wish.to_bytes(), policy_file], CREATE_SECONDS
            )
        shown = Shown.from_parts(parts)
        wallet = verified(shown, self._keys, self._clock())
        Asked(
            name=name,
            scheme=scheme,
            sizes=sizes,
            roster_hash=roster.hash,
            policy_hash=hashlib.sha256(policy_file).digest(),
            clients=(self._client,),
        ).check(wallet.certificate)
        self._require_known(shown)
        return wallet

    def trust(self, name: str, epoch_hash: EpochHash) -> VerifiedWallet:
        """The wallet called `name` is known from now on, whoever has made it.

        Args:
            epoch_hash: of its newest epoch, or of its first one, as a holder says it: whoever
                shows another wallet cannot show this epoch.

        Raises:
            Refused: `other-epoch`: the wallet that is shown has no such epoch.
            Others: as `show`, and as `KnownWallets.remember`.
        """
        shown = self._shown(name)
        wallet = self._named(name, verified(shown, self._keys, self._clock()))
        first = wallet.certificate.body.hash
        if epoch_hash not in (first, wallet.body.hash):
            raise Refused("other-epoch", f"the wallet {name} that is shown has no such epoch")
        self.known.remember(name, Meaning("epoch", first))
        return wallet

    def refresh(self, name: str, absent: Sequence[int]) -> VerifiedWallet:
        """New shares and new wrapping keys of the wallet called `name`, under the same key; or an
        epoch that not all had adopted is carried on.

        Args:
            absent: indices of the holders that are not waited for.

        Raises:
            NotReady: the epoch before is not retired yet; or who has not adopted the new one.
            Others: as `show`; and what the holders say.
        """
        before = self.show(name)
        encoded = name.encode("ascii")
        parts = self._called(
            CoordinatorMethod.REFRESH, [encoded, indices_to_bytes(absent)], REFRESH_SECONDS
        )
        wallet = self._verified(Shown.from_parts(parts))
        unfinished = before.newest is not None and not before.newest.retired
        carried_on = unfinished and wallet.body == before.body
        newer = wallet.body.epoch > before.body.epoch
        if wallet.certificate != before.certificate or not (newer or carried_on):
            raise Tampered(f"what came back is no newer epoch of {name!r}")
        return wallet

    def reshare(self, name: str, threshold: int, holders: Sequence[str] = ()) -> VerifiedWallet:
        """Have the key of the wallet called `name` shared anew: any `threshold` of `holders` sign;
        of those that it has, if none are named.

        Raises:
            NotReady: operators have not consented yet; it names their holders.
            Others: as `refresh`.
        """
        before = self.show(name)
        wanted = sorted(set(holders)) or sorted(member.name for member in before.roster.members)
        encoded, places = name.encode("ascii"), indices_to_bytes(self._places(wanted))
        parts = self._called(
            CoordinatorMethod.RESHARE, [encoded, u16be(threshold), places], RESHARE_SECONDS
        )
        wallet = self._verified(Shown.from_parts(parts))
        newer = wallet.body.epoch > before.body.epoch
        if wallet.certificate != before.certificate or not newer:
            raise Tampered(f"what came back is no newer epoch of {name!r}")
        shared = sorted(member.name for member in wallet.roster.members)
        if (wallet.threshold, shared) != (threshold, wanted):
            raise Tampered(f"what came back is {name!r} with another quorum")
        return wallet

    def plan_repair(self, name: str, lost: int) -> RepairPlan:
        """What administrators sign, so that the share of holder `lost` in the wallet called `name`
        is repaired.

        Raises:
            Refused: `share-opens`: there is nothing to repair.
            Tampered: what came back is another repair.
            Others: as `show`; and what the holders say.
        """
        before = self.show(name)
        asked = [name.encode("ascii"), indices_to_bytes((lost,))]
        answer = self._called(CoordinatorMethod.PLAN_REPAIR, asked, REPAIR_SECONDS)
        whose = self.roster.member(lost).name
        return repair_plan_in(answer, whose, before.certificate.body.terms)

    def repair(
        self, name: str, lost: int, signatures: Sequence[OrderSignature] = ()
    ) -> VerifiedWallet:
        """Have the share of holder `lost` in the wallet called `name` repaired; a refresh follows.

        Args:
            signatures: of administrators; none where the policy names none.

        Raises:
            NotReady: operators have not consented yet, it names their holders; or administrators
                have not signed it.
            Others: as `refresh`.
        """
        before = self.show(name)
        asked = [name.encode("ascii"), indices_to_bytes((lost,)), _ascending(signatures)]
        parts = self._called(CoordinatorMethod.REPAIR, asked, REPAIR_SECONDS)
        wallet = self._verified(Shown.from_parts(parts))
        newer = wallet.body.epoch > before.body.epoch
        if wallet.certificate != before.certificate or not newer:
            raise Tampered(f"what came back is no newer epoch of {name!r}")
        return wallet

    def plan_order(self, name: str, asked: AskedOrder) -> OrderPlan:
        """What is to be signed, so that an order ends the wait for a confirmation in the wallet
        called `name`.

        Raises:
            Refused: `no-margin` or `no-order`.
            NotReady: a holder that is no suspect does not answer.
            Tampered: what came back is another order.
            Others: as `show`; and what the holders say.
        """
        before = self.show(name)
        parts = [name.encode("ascii"), *asked.to_parts()]
        answer = self._called(CoordinatorMethod.PLAN_ORDER, parts, ORDER_SECONDS)
        return asked.plan_in(answer, before.certificate.body.terms)

    def order(
        self, name: str, order: Order, signatures: Sequence[OrderSignature]
    ) -> VerifiedWallet:
        """Have all holders that answer obey an order; the others do so once they are back.

        Args:
            signatures: of administrators; none where the policy names none.

        Raises:
            NotReady: operators have not consented yet; it names their holders.
            InvalidSignature: not enough administrators have signed.
            Tampered: what came back shows no such order.
            Others: as `plan_order`.
        """
        encoded = checked_name(name, "wallet").encode("ascii")
        asked = [encoded, order.terms, _ascending(signatures)]
        parts = self._called(CoordinatorMethod.ORDER, asked, ORDER_SECONDS)
        wallet = self._verified(Shown.from_parts(parts))
        shown = None if wallet.newest is None else wallet.newest.order
        if shown is None or shown.terms != order.terms:
            raise Tampered(f"what came back shows no such order for {name!r}")
        return wallet

    def destroy(self, name: str, reason: str) -> VerifiedEnd:
        """Have every holder destroy its keys of the wallet called `name`, for ever.

        Raises:
            NotReady: operators have not consented yet; it names their holders.
            Tampered: what came back does not verify, or is another wallet's.
            NotKnown: as `show`.
            BadInput, Refused, BackendError: what coordinator and holders say.
        """
        encoded = checked_name(name, "wallet").encode("ascii")
        try:
            shown = self._shown(name)
        except HsmMpcError:  # it need not be active
            pass
        else:
            self._end(name, shown)
        parts = self._called(CoordinatorMethod.DESTROY, [encoded, reason.encode()], DESTROY_SECONDS)
        return self._end(name, Shown.from_parts(parts))

    def show(self, name: str) -> VerifiedWallet:
        """The wallet called `name`.

        Raises:
            Tampered: it does not verify, or is another wallet's certificate.
            NotKnown: some of the holders have made it, and this client does not know it.
            BadInput, NotReady, BackendError: there is none, it is not active, nobody answers.
        """
        return self._named(name, self._verified(self._shown(name)))

    def chain(self, name: str) -> Chain:
        """How the epochs of the wallet called `name` followed each other, to be verified.

        Raises:
            BadInput, BackendError: there is none, nobody answers.
            BadEncoding: the coordinator tells of epochs for ever.
        """
        shown, encoded = self._shown(name), name.encode("ascii")
        successions: list[ShownSuccession] = []
        room = LARGEST_CHAIN
        while True:
            after = [encoded, u32be(len(successions))]
            parts = self._called(CoordinatorMethod.SUCCESSIONS, after, SHOW_SECONDS)
            room -= sum(map(len, parts))
            if len(successions) > _MOST_EPOCHS:
                raise BadEncoding(f"the coordinator tells of more than {_MOST_EPOCHS} epochs")
            if room < 0:
                raise BadEncoding(f"the coordinator tells more than {LARGEST_CHAIN} bytes")
            if not parts:
                epochs = tuple(successions)
                return Chain(shown.certificate, shown.dones, epochs, shown.lineage)
            successions += successions_from_parts(parts)

    def names(self) -> tuple[str, ...]:
        """The names of all wallets, as the coordinator says."""
        parts = self._called(CoordinatorMethod.LIST, [], SHOW_SECONDS)
        return tuple(checked_name(part.decode("ascii", "replace"), "wallet") for part in parts)

    def sign(
        self,
        wallet: VerifiedWallet,
        kind: RequestType,
        content: bytes,
        path: Path,
        signers: Sequence[int],
    ) -> VerifiedSignature:
        """A signature by a quorum, verified here before anybody sees it.

        Args:
            signers: indices of the holders that may sign; none: all.

        Raises:
            BadInput: so few signers are no quorum.
            Tampered: what came back is no signature of this message under this key.
            Declined, QuorumUnreachable, ProtocolAbort, BackendError: what holders and
                coordinator say.
        """
        if signers and len(set(signers)) < wallet.threshold:
            raise BadInput(
                f"{len(set(signers))} signers: wallet {wallet.name} wants {wallet.threshold}"
            )
        wallet.require_path(path)
        request = self._request(wallet, kind, content, path)
        parts = self._called(
            CoordinatorMethod.SIGN,
            [request.to_bytes(), indices_to_bytes(signers)],
            SIGN_SECONDS,
        )
        if len(parts) != 3:
            raise BadEncoding(f"a signature in {len(parts)} parts")
        key = wallet.key
        try:
            key.verify(path, content, parts[0])
        except InvalidSignature as forged:
            raise Tampered("the coordinator gave a signature that does not verify") from forged
        told = indices_from_bytes(parts[1])
        if len(set(told)) < wallet.threshold or not set(told).issubset(range(1, self.roster.n + 1)):
            raise Tampered("the coordinator names signers that are no quorum")
        return VerifiedSignature(
            request.id, parts[0], content, key.public_key(path), told, parts[2]
        )

    def epoch_of(self, wallet: VerifiedWallet, epoch_hash: bytes) -> int:
        """The number of an epoch that signed, for people.

        Raises:
            Tampered: the wallet has no such epoch, or one that does not sign any more.
        """
        for known in (wallet, self.show(wallet.name)):
            if epoch_hash == known.body.hash:
                return known.body.epoch
            if known.newest is not None and epoch_hash == known.body.prev_hash:
                return known.body.epoch - 1
        raise Tampered("the coordinator names an epoch that the wallet does not have")

    def there(self) -> tuple[int, ...]:
        """The indices of the holders that answer, as the coordinator says."""
        (encoded,) = self._called(CoordinatorMethod.STATUS, [], SHOW_SECONDS)
        return indices_from_bytes(encoded)

    def _places(self, names: Sequence[str]) -> tuple[int, ...]:
        """In the pinned roster, ascending. Raises: BadInput: a name that no holder has."""
        return tuple(sorted({self.roster.index_of(name) for name in names}))

    def _called(
        self, method: CoordinatorMethod, parts: Sequence[bytes], seconds: float
    ) -> tuple[bytes, ...]:
        with self._names_for_indices():
            return self._coordinator.call(method, parts, seconds)

    @contextmanager
    def _names_for_indices(self) -> Iterator[None]:
        """People know holders by their names."""
        try:
            yield
        except ProtocolAbort as abort:
            known = [index for index in abort.culprits if 1 <= index <= self.roster.n]
            names = [self.roster.member(index).name for index in known]
            raise HoldersBlamed(str(abort), names) from abort

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

    def _shown(self, name: str) -> Shown:
        encoded = checked_name(name, "wallet").encode("ascii")
        return Shown.from_parts(self._called(CoordinatorMethod.SHOW, [encoded], SHOW_SECONDS))

    def _verified(self, shown: Shown) -> VerifiedWallet:
        wallet = verified(shown, self._keys, self._clock())
        self._require_known(shown)
        return wallet

    def _end(self, name: str, shown: Shown) -> VerifiedEnd:
        end = verified_end(shown, self._keys)
        if end.name != name:
            raise Tampered(f"the certificate shown for {name!r} is another wallet's")
        self._require_known(shown)
        return end

    def _named(self, name: str, wallet: VerifiedWallet) -> VerifiedWallet:
        if wallet.name != name:
            raise Tampered(f"the certificate shown for {name!r} is another wallet's")
        return wallet

    @contextmanager
    def _meaning(self, name: str, roster: Roster) -> Iterator[None]:
        """These holders are asked for a wallet called `name`. If they are some of the pinned ones,
        and it means none that was shown, it means theirs from now on: the answer may be lost.
        """
        meant = None if roster == self.roster else self.known.meaning(name)
        if roster != self.roster and (meant is None or meant.by == "roster"):
            self.known.remember(name, Meaning("roster", roster.hash))
        try:
            yield
        except NameTaken:
            if roster != self.roster:
                self.known.remember(name, meant)
            raise

    def _require_known(self, shown: Shown) -> None:
        require_known(shown.certificate, shown.lineage, self._keys, self.known)


def _ascending(signatures: Sequence[OrderSignature]) -> bytes:
    """Those of administrators, as an order has them."""
    given = sorted(signatures, key=lambda each: each.admin)
    return bundle([each.to_bytes() for each in given])
