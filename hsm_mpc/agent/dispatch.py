"""What a signer answers: one table from method to function, and nothing besides."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.arrival.desk import Arrivals, Told
from hsm_mpc.agent.ceremonies import Ceremonies
from hsm_mpc.agent.destruction import Destructions
from hsm_mpc.agent.holdings import Holdings
from hsm_mpc.agent.ordering import OrderDesk
from hsm_mpc.agent.repair import complaining as repair_complaining
from hsm_mpc.agent.repair.desk import RepairDesk
from hsm_mpc.agent.rotation import Rotations
from hsm_mpc.agent.signing import SigningDesk
from hsm_mpc.agent.succession.desk import Successions
from hsm_mpc.agent.succession.shown import Shown
from hsm_mpc.encoding import Reader, u8, u16be
from hsm_mpc.errors import BackendError, BadEncoding, HsmMpcError
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.wire.calls import MOST_BYTES, Call, HolderMethod, answer_of, failure_of
from hsm_mpc.wire.envelope import parse_envelope, unbundled
from hsm_mpc.wire.pieces import Assembly, Piece
from hsm_mpc.wire.rounds import ASK, ORDER, ORDER_REPAIR, ROTATE

Parts = tuple[bytes, ...]
Method = Callable[[Parts], Sequence[bytes]]
"""Arguments to results; raises `HsmMpcError` for a reason that the caller is told."""

Report = Callable[[Exception], None]
"""Told of every exception that nobody foresaw."""

_UNEXPECTED: Final = "an unexpected error; it stands in the signer's log"


class Dispatch:
    """Answers calls out of a table. Never raises: one bad call never ends a signer."""

    def __init__(self, methods: Mapping[int, Method], report: Report) -> None:
        self._methods = dict(methods)
        self._report = report
        self._assembly = Assembly(time.monotonic)

    def answer(self, source: bytes) -> bytes:
        """The answer to a call, or the status that says why there is none."""
        try:
            answer = answer_of(self._results(Call.from_bytes(source)))
            if len(answer) > MOST_BYTES:
                raise BackendError(f"an answer of {len(answer)} bytes", retryable=False)
        except HsmMpcError as error:
            return failure_of(error)
        except Exception as unexpected:  # noqa: BLE001 - an outermost edge
            self._report(unexpected)
            return failure_of(HsmMpcError(_UNEXPECTED))
        return answer

    def _results(self, call: Call) -> Sequence[bytes]:
        """Nothing for a piece of a call but its last one, which has the results of that call."""
        if call.method == HolderMethod.PIECE:
            whole = self._assembly.take(Piece.from_bytes(*_exactly(1, call.parts)))
            if whole is None:
                return ()
            call = Call.from_bytes(whole)
        method = self._methods.get(call.method)
        if method is None:
            raise BadEncoding(f"call: there is no method {call.method}")
        return method(call.parts)


class HolderDesk:
    """The methods that coordinators may call at a holder (wire.calls.HolderMethod)."""

    def __init__(
        self,
        holder: ActingHolder,
        holdings: Holdings,
        ceremonies: Ceremonies,
        signing: SigningDesk,
        successions: Successions,
        destructions: Destructions,
        repairs: RepairDesk,
        arrivals: Arrivals,
        rotations: Rotations,
    ) -> None:
        self._holder = holder
        self._holdings = holdings
        self._ceremonies = ceremonies
        self._signing = signing
        self._successions = successions
        self._destructions = destructions
        self._repairs = repairs
        self._arrivals = arrivals
        self._rotations = rotations
        self._orders = OrderDesk(holder, ceremonies, successions)

    def methods(self) -> dict[int, Method]:
        """The dispatch table."""
        return {
            HolderMethod.CHANNEL: self._channel,
            HolderMethod.PROPOSE: self._propose,
            HolderMethod.HELLOS: self._hellos,
            HolderMethod.COMMITMENTS: self._dealings,
            HolderMethod.CERTIFY: self._certify,
            HolderMethod.DONES: self._dones,
            HolderMethod.REQUEST: self._request,
            HolderMethod.SIGN: self._sign,
            HolderMethod.WALLETS: self._wallets,
            HolderMethod.BLAME: self._blame,
            HolderMethod.JOIN: self._join,
            HolderMethod.DEAL: self._deal,
            HolderMethod.STAGE: self._stage,
            HolderMethod.ADOPT: self._adopt,
            HolderMethod.RETIRE: self._retire,
            HolderMethod.TRANSCRIPT: self._transcript,
            HolderMethod.CONSIDER: self._consider,
            HolderMethod.DESTROY: self._destroy,
            HolderMethod.DOCUMENTS: self._documents,
            HolderMethod.OFFER: self._offer,
            HolderMethod.COUNTERSIGN: self._countersign,
            HolderMethod.SPLIT: self._split,
            HolderMethod.COLLECT: self._collect,
            HolderMethod.RECOVER: self._recover,
            HolderMethod.AMEND: self._amend,
            HolderMethod.GREET: self._greet,
            HolderMethod.RECEIVE: self._receive,
            HolderMethod.CONFIRM: self._confirm,
            HolderMethod.ARRIVE: self._arrive,
            HolderMethod.ROTATION: self._rotation,
            HolderMethod.TURN: self._turn,
            HolderMethod.TURNED: self._turned,
            HolderMethod.COMPLAIN: self._complain,
            HolderMethod.JUDGE: self._judge,
        }

    def _channel(self, parts: Parts) -> Sequence[bytes]:
        """Peers' CHANNEL messages → the own one."""
        for source in parts:
            self._holder.keys.learn_message(source, self._holder.clock())
        return (self._holder.channel_announcement(),)

    def _consider(self, parts: Parts) -> Sequence[bytes]:
        """PROPOSAL and policy file; DESTROY; ORDER; ORDER-REPAIR; ROTATE; ASK, as an old holder; or
        ASK, chain, policy file and client list, as a new one → u8(1): this holder takes part;
        u8(0): its operator is asked.
        """
        if len(parts) == 1:
            asked = {
                ORDER: self._orders.consider,
                ORDER_REPAIR: self._repairs.consider,
                ROTATE: self._repairs.consider_rotation,
                ASK: self._successions.consider,
            }.get(parse_envelope(parts[0]).kind, self._destructions.consider)
            return (u8(asked(parts[0])),)
        if len(parts) == 4:
            return (u8(self._arrivals.consider(parts[0], _told(parts))),)
        proposal, policy_file = _exactly(2, parts)
        return (u8(self._ceremonies.consider(proposal, policy_file)),)

    def _propose(self, parts: Parts) -> Sequence[bytes]:
        """PROPOSAL, policy file → HELLO."""
        proposal, policy_file = _exactly(2, parts)
        return (self._ceremonies.propose(proposal, policy_file),)

    def _hellos(self, parts: Parts) -> Sequence[bytes]:
        """n HELLOs → msg1."""
        return (self._ceremonies.take_hellos(parts),)

    def _dealings(self, parts: Parts) -> Sequence[bytes]:
        """n msg1, n CHANNELs → round 3."""
        n = len(parts) // 2
        both = _exactly(2 * n, parts)
        return (self._ceremonies.take_dealings(both[:n], both[n:]),)

    def _certify(self, parts: Parts) -> Sequence[bytes]:
        """CERT → DONE."""
        (certificate,) = _exactly(1, parts)
        return (self._ceremonies.certify(certificate),)

    def _dones(self, parts: Parts) -> Sequence[bytes]:
        """n DONEs → nothing: the wallet is active."""
        self._ceremonies.activate(parts)
        return ()

    def _request(self, parts: Parts) -> Sequence[bytes]:
        """REQUEST → a COMMIT for each signature that is asked for."""
        (request,) = _exactly(1, parts)
        return self._signing.request(request)

    def _sign(self, parts: Parts) -> Sequence[bytes]:
        """SIGN, CHANNELs of its signers → PARTIAL."""
        if not parts:
            raise BadEncoding("call: SIGN without its message")
        return self._signing.sign(parts[0], parts[1:])

    def _wallets(self, parts: Parts) -> Sequence[bytes]:
        """Nothing, or the last wallet of the page before → the next page of what is held here."""
        if not parts:
            return self._holdings.page(None)
        (last,) = _exactly(1, parts)
        return self._holdings.page(last)

    def _blame(self, parts: Parts) -> Sequence[bytes]:
        """wallet_id → the own BLAMEs; BLAME, PROPOSAL, n HELLOs → u16be(index of who lied)."""
        if len(parts) == 1:
            return self._ceremonies.accusations(WalletId(parts[0]))
        blame, proposal, *hellos = _at_least(2, parts)
        return (u16be(self._ceremonies.judge(blame, proposal, hellos)),)

    def _join(self, parts: Parts) -> Sequence[bytes]:
        """ASK → JOIN, own newest DONE, CERT payload of what is adopted, PROPOSEs that carry it."""
        (ask,) = _exactly(1, parts)
        return self._successions.join(ask)

    def _deal(self, parts: Parts) -> Sequence[bytes]:
        """PROPOSE → DEAL, empty of who deals nothing."""
        (propose,) = _exactly(1, parts)
        return (self._successions.deal(propose),)

    def _stage(self, parts: Parts) -> Sequence[bytes]:
        """DEALs of all members, then their CHANNELs → ACK."""
        members = len(parts) // 2
        both = _exactly(2 * members, parts)
        return (self._successions.stage(both[:members], both[members:]),)

    def _complain(self, parts: Parts) -> Sequence[bytes]:
        """u16be(accused), then what `_shown` takes → COMPLAINT."""
        accused, *rest = _at_least(2, parts)
        shown = _shown(rest)
        if isinstance(shown, repair_complaining.Shown):
            return (self._repairs.complain(_index(accused), shown),)
        is_new = self._arrivals.has_greeted(shown.propose)
        desk = self._arrivals if is_new else self._successions
        return (desk.complain(_index(accused), shown),)

    def _judge(self, parts: Parts) -> Sequence[bytes]:
        """COMPLAINT, or u16be(accused) where what it signed is proof by itself, then what `_shown`
        takes → u16be(index of who lied), u8(1): what it signed is proof by itself.
        """
        source, *rest = _at_least(2, parts)
        shown, by_complaint = _shown(rest), len(source) != len(u16be(0))
        if isinstance(shown, repair_complaining.Shown):
            repairs = self._repairs
            verdict = (
                repairs.judge(source, shown)
                if by_complaint
                else repairs.judge_alone(_index(source), shown)
            )
        elif by_complaint:
            verdict = self._successions.judge(source, shown)
        else:
            verdict = self._successions.judge_alone(_index(source), shown)
        return u16be(verdict.liar), u8(verdict.alone)

    def _adopt(self, parts: Parts) -> Sequence[bytes]:
        """PROPOSE, CERT, transcript or nothing, PROPOSEs between or nothing, DONE's of the new
        holders of a resharing or nothing → DONE.
        """
        propose, certificate, transcript, history, arrivals = _exactly(5, parts)
        return (self._successions.adopt(propose, certificate, transcript, history, arrivals),)

    def _retire(self, parts: Parts) -> Sequence[bytes]:
        """RETIRE, CERT, transcript or nothing → DESTROYED, DONE of the epoch that is live now."""
        retirement, certificate, transcript = _exactly(3, parts)
        return self._successions.retire(retirement, certificate, transcript)

    def _transcript(self, parts: Parts) -> Sequence[bytes]:
        """wallet_id, h → what that epoch was made from."""
        wallet_id, h = _exactly(2, parts)
        return (self._successions.transcript(WalletId(wallet_id), EpochHash(h)),)

    def _destroy(self, parts: Parts) -> Sequence[bytes]:
        """DESTROY → DESTROYED: no wrapping key of the wallet is left here."""
        (order,) = _exactly(1, parts)
        return (self._destructions.destroy(order),)

    def _documents(self, parts: Parts) -> Sequence[bytes]:
        """wallet_id, h → policy file and client list of that epoch, own newest DONE, lineage."""
        wallet_id, h = _exactly(2, parts)
        return self._repairs.documents(WalletId(wallet_id), EpochHash(h))

    def _offer(self, parts: Parts) -> Sequence[bytes]:
        """Chain, policy file, client list → identity key, V_r, kek_digest_r, signature of these."""
        chain, policy_file, clients = _exactly(3, parts)
        return self._repairs.offer(chain, policy_file, clients)

    def _countersign(self, parts: Parts) -> Sequence[bytes]:
        """ORDER; or ORDER-REPAIR, administrators' signatures of it → the own signature."""
        order, *administrators = _at_least(1, parts)
        if parse_envelope(order).kind is ORDER:
            return (self._orders.countersign(*_exactly(1, parts)),)
        return (self._repairs.countersign(order, administrators),)

    def _split(self, parts: Parts) -> Sequence[bytes]:
        """ORDER-REPAIR, n DONEs → R1."""
        order, *dones = _at_least(1, parts)
        return (self._repairs.split(order, dones),)

    def _collect(self, parts: Parts) -> Sequence[bytes]:
        """ORDER-REPAIR, R1 of all helpers → R2."""
        if not parts:
            raise BadEncoding("call: no order")
        return (self._repairs.collect(parts[0], parts[1:]),)

    def _recover(self, parts: Parts) -> Sequence[bytes]:
        """ORDER-REPAIR, all DONEs bundled, R1 and R2 of all helpers → ACK, DONE."""
        helpers = max((len(parts) - 2) // 2, 1)
        order, dones, *messages = _exactly(2 + 2 * helpers, parts)
        said = unbundled(dones)
        return self._repairs.recover(order, said, messages[:helpers], messages[helpers:])

    def _amend(self, parts: Parts) -> Sequence[bytes]:
        """wallet_id, AMENDMENT → the own AMENDED: it is kept."""
        wallet_id, amendment = _exactly(2, parts)
        return (self._repairs.amend(WalletId(wallet_id), amendment),)

    def _rotation(self, parts: Parts) -> Sequence[bytes]:
        """Nothing → u8(1) if this holder has turned to its new key, ROTATE of each of its wallets;
        or nothing: it has no new key.
        """
        _exactly(0, parts)
        return self._rotations.offered()

    def _turn(self, parts: Parts) -> Sequence[bytes]:
        """Nothing → nothing: this holder signs by its new key."""
        _exactly(0, parts)
        self._rotations.turn()
        return ()

    def _turned(self, parts: Parts) -> Sequence[bytes]:
        """AMENDED of all others → nothing: the old key is destroyed."""
        self._rotations.turned(parts)
        return ()

    def _greet(self, parts: Parts) -> Sequence[bytes]:
        """ASK of a resharing, chain, policy file, client list → HELLO', as a new holder."""
        ask, *_ = _exactly(4, parts)
        return (self._arrivals.hello(ask, _told(parts)),)

    def _receive(self, parts: Parts) -> Sequence[bytes]:
        """PROPOSE, DEALs of all dealers, then their CHANNELs → ACK'."""
        dealers = len(parts) // 2
        propose, *both = _exactly(1 + 2 * dealers, parts)
        return (self._arrivals.receive(propose, both[:dealers], both[dealers:]),)

    def _confirm(self, parts: Parts) -> Sequence[bytes]:
        """CERT → DONE'."""
        (certificate,) = _exactly(1, parts)
        return (self._arrivals.confirm(certificate),)

    def _arrive(self, parts: Parts) -> Sequence[bytes]:
        """RETIRE, CERT, amendments of the roster that ends → DONE': who had no share before has the
        one that lives.
        """
        retirement, certificate = _exactly(2, parts[:2])
        return (self._arrivals.arrive(retirement, certificate, parts[2:]),)


def _shown(parts: Sequence[bytes]) -> Shown | repair_complaining.Shown:
    """PROPOSE, DEALs, CHANNELs of all dealers; or ORDER-REPAIR, DONEs, R1, R2: bundled."""
    if parse_envelope(parts[0]).kind is ORDER_REPAIR:
        return repair_complaining.Shown.of(*_exactly(4, tuple(parts)))
    return Shown.of(*_exactly(3, tuple(parts)))


def _index(source: bytes) -> int:
    reader = Reader(source, "call")
    index = reader.u16be()
    reader.end()
    return index


def _told(parts: Parts) -> Told:
    _, chain, policy_file, clients = parts
    return chain, policy_file, clients


def _at_least(count: int, parts: Parts) -> Parts:
    if len(parts) < count:
        raise BadEncoding(f"call: {len(parts)} parts where {count} are wanted")
    return parts


def _exactly(count: int, parts: Parts) -> Parts:
    if len(parts) != count:
        raise BadEncoding(f"call: {len(parts)} parts where {count} are wanted")
    return parts
