"""What a client asks for of wallets: made, signed with, refreshed, shared anew, repaired, ended."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

from hsm_mpc.certificates.asked import Asked
from hsm_mpc.certificates.clients import Client
from hsm_mpc.certificates.order import Order
from hsm_mpc.certificates.quorum import QuorumSizes
from hsm_mpc.certificates.signed_order import OrderSignature
from hsm_mpc.client.answers import Answers
from hsm_mpc.client.chain import successions_told
from hsm_mpc.client.known import KnownWallets
from hsm_mpc.client.link import CoordinatorLink
from hsm_mpc.client.ordering import AskedOrder, repair_plan_in
from hsm_mpc.client.signing import Requester, VerifiedSignature, signature_in
from hsm_mpc.client.verified import VerifiedEnd, VerifiedWallet
from hsm_mpc.encoding import u16be
from hsm_mpc.errors import BadInput, HsmMpcError, Tampered
from hsm_mpc.identity import VerifyingKey
from hsm_mpc.ids import EpochHash, Scheme, checked_name
from hsm_mpc.requests import RequestType
from hsm_mpc.roster import Roster
from hsm_mpc.succession.order_plan import OrderPlan, RepairPlan
from hsm_mpc.tags import Tag
from hsm_mpc.taproot.derivation import Path
from hsm_mpc.wire.calls import CoordinatorMethod
from hsm_mpc.wire.envelope import bundle
from hsm_mpc.wire.transport import Transport
from hsm_mpc.wire.wallet_calls import Chain, Shown, Wish, indices_from_bytes, indices_to_bytes


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
        self._link = CoordinatorLink(coordinator, roster)
        self._answers = Answers(roster, known, clock)
        self._requester = Requester(key, sign, clock)
        self._client = Client(name, key)

    @property
    def known(self) -> KnownWallets:
        """Those that it takes for the ones that it means."""
        return self._answers.known

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
        with self._answers.awaited(name, roster):
            shown = self._asked(CoordinatorMethod.CREATE, wish.to_bytes(), policy_file)
        asked = Asked(
            name=name,
            scheme=scheme,
            sizes=sizes,
            roster_hash=roster.hash,
            policy_hash=hashlib.sha256(policy_file).digest(),
            clients=(self._client,),
        )
        return self._answers.made(asked, shown)

    def trust(self, name: str, epoch_hash: EpochHash) -> VerifiedWallet:
        """The wallet called `name` is known from now on, whoever has made it.

        Args:
            epoch_hash: of its newest epoch, or of its first one, as a holder says it: whoever
                shows another wallet cannot show this epoch.

        Raises:
            Refused: `other-epoch`: the wallet that is shown has no such epoch.
            Others: as `show`, and as `KnownWallets.remember`.
        """
        return self._answers.trusted(name, epoch_hash, self._shown(name))

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
        away = indices_to_bytes(absent)
        shown = self._asked(CoordinatorMethod.REFRESH, name.encode("ascii"), away)
        return self._answers.refreshed(before, shown)

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
        shown = self._asked(CoordinatorMethod.RESHARE, encoded, u16be(threshold), places)
        wallet = self._answers.successor(before, shown)
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
        answer = self._link.called(CoordinatorMethod.PLAN_REPAIR, asked)
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
        return self._answers.successor(before, self._asked(CoordinatorMethod.REPAIR, *asked))

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
        answer = self._link.called(CoordinatorMethod.PLAN_ORDER, parts)
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
        wallet = self._answers.wallet(self._asked(CoordinatorMethod.ORDER, *asked))
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
            self._answers.end(name, shown)
        ended = self._asked(CoordinatorMethod.DESTROY, encoded, reason.encode())
        return self._answers.end(name, ended)

    def show(self, name: str) -> VerifiedWallet:
        """The wallet called `name`.

        Raises:
            Tampered: it does not verify, or is another wallet's certificate.
            NotKnown: some of the holders have made it, and this client does not know it.
            BadInput, NotReady, BackendError: there is none, it is not active, nobody answers.
        """
        return self._answers.named(name, self._shown(name))

    def chain(self, name: str) -> Chain:
        """How the epochs of the wallet called `name` followed each other, to be verified.

        Raises:
            BadInput, BackendError: there is none, nobody answers.
            BadEncoding: the coordinator tells of epochs for ever.
        """
        shown = self._shown(name)
        epochs = successions_told(self._link, name.encode("ascii"))
        return Chain(shown.certificate, shown.dones, epochs, shown.lineage)

    def names(self) -> tuple[str, ...]:
        """The names of all wallets, as the coordinator says."""
        parts = self._link.called(CoordinatorMethod.LIST, [])
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
        request = self._requester.request(wallet, kind, content, path)
        asked = [request.to_bytes(), indices_to_bytes(signers)]
        parts = self._link.called(CoordinatorMethod.SIGN, asked)
        return signature_in(parts, request, wallet, self.roster.n)

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
        (encoded,) = self._link.called(CoordinatorMethod.STATUS, [])
        return indices_from_bytes(encoded)

    def _places(self, names: Sequence[str]) -> tuple[int, ...]:
        """In the pinned roster, ascending. Raises: BadInput: a name that no holder has."""
        return tuple(sorted({self.roster.index_of(name) for name in names}))

    def _asked(self, method: CoordinatorMethod, *parts: bytes) -> Shown:
        return Shown.from_parts(self._link.called(method, parts))

    def _shown(self, name: str) -> Shown:
        encoded = checked_name(name, "wallet").encode("ascii")
        return self._asked(CoordinatorMethod.SHOW, encoded)


def _ascending(signatures: Sequence[OrderSignature]) -> bytes:
    """Those of administrators, as an order has them."""
    given = sorted(signatures, key=lambda each: each.admin)
    return bundle([each.to_bytes() for each in given])
