"""Who this holder is to others, and whether they hold the same roster.

A holder dials nobody (decision 9), so it cannot ask. What a peer's HSM has signed tells instead:
its acknowledgement in a certificate names the epoch, whose body names the roster. A CHANNEL that a
peer showed to the signer that runs proves its identity key, and when its clock said it began.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.own_identity import kept_card, kept_identity
from hsm_mpc.agent.wallets import body_of
from hsm_mpc.app.doctor.findings import Finding, fail, failed, ok, warn
from hsm_mpc.app.holder import OTHER_KEY, OpenHolder
from hsm_mpc.card import UnsignedCard
from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.certificates.channel import Channel
from hsm_mpc.certificates.terms import WalletTerms
from hsm_mpc.errors import BadInput, HsmMpcError, InvalidSignature, Tampered
from hsm_mpc.roster import Roster, refuse_lab_mark_outside
from hsm_mpc.store.epochs import EpochDocument
from hsm_mpc.succession.lineage import Lineage
from hsm_mpc.wire.channels import KeyBook

_COMPARE: Final = "compare the roster's fingerprint with that of every other operator"
_SIGNED: Final = "its HSM has signed under this roster, in wallet"
_LEAST_SECONDS: Final = 600


def card(holder: OpenHolder) -> list[Finding]:
    """The card says what key and configuration say."""
    kept, identity = kept_card(holder.store), kept_identity(holder.token, holder.store)
    if kept is None or identity is None:
        return [fail("card", "not made yet", "hsm-mpc holder init")]
    config = holder.config
    if kept.content != UnsignedCard(config.lab, config.name, identity.key, config.address):
        mend = "hsm-mpc holder init, then give the new card to whoever makes the roster"
        return [fail("card", "it has another name, address or lab mark than holder.yaml", mend)]
    key = f"{identity.key.algorithm.name} {identity.key.encoded.hex()}"
    return [ok("card", f"{config.name}, {key}; it has no end")]


def roster(holder: OpenHolder) -> list[Finding]:
    """The roster that is trusted here, with this holder in it."""
    file = holder.config.roster
    if file is None or not file.exists():
        where = "none is configured" if file is None else f"{file} is not there yet"
        mend = f"put the roster of all cards there; {_COMPARE}"
        level = fail if holder.store.wallet_ids() else warn
        return [level("roster", f"{where}: `agent run` cannot start", mend)]
    try:
        found, index = holder.roster(), holder.index()
        refuse_lab_mark_outside(found.lab, in_lab=holder.config.lab, what="the configured roster")
    except HsmMpcError as failure:
        return [failed("roster", failure, f"put the right roster there; {_COMPARE}")]
    place = f"version {found.version}, {found.n} holders, this is number {index}"
    if holder.is_replaced():
        said = f"{place}, with another identity key: {OTHER_KEY}"
        mend = (
            f"after a loss: hsm-mpc wallet repair WALLET --holder {holder.config.name}, for each "
            "wallet; for new wallets: a roster with the new card"
        )
        return [warn("roster", said, mend)]
    return [ok("roster", f"{place}; fingerprint {found.hash.hex()}")]


def agreement(holder: OpenHolder, channels: Mapping[str, Channel] | None) -> list[Finding]:
    """Which peers have signed something that names this very roster; nothing where there is none.

    Args:
        channels: what peers showed to the signer that runs, by their names; None: none runs.

    Raises:
        Tampered: a certificate in the store does not hold.
    """
    if holder.config.roster is None or not holder.config.roster.exists():
        return []
    pinned, signed_in = holder.roster(), dict[str, str]()
    for certificate in _certificates(holder):
        terms = certificate.body.terms
        first = _first_roster(holder.store.repairs(terms.wallet_id).lineage(), terms, pinned)
        if terms.roster_hash != first.hash:
            message = f"wallet {terms.name} was made under another: {terms.roster_hash.hex()}"
            return [fail("peers", message, "put that one there, after a look at its fingerprint")]
        certificate.verify(first)
        for member in first.members:
            signed_in.setdefault(member.name, terms.name)
    names = [member.name for member in pinned.members if member.name != holder.config.name]
    silent = [name for name in names if name not in signed_in]
    findings = [
        ok("peers", f"{name}: {_SIGNED} {signed_in[name]}{_heard(name, channels)}")
        for name in names
        if name in signed_in
    ]
    if silent:
        message = f"nothing that names this roster and is signed by {', '.join(silent)} is here yet"
        findings.append(warn("peers", message, f"{_COMPARE}, or make a wallet"))
    return findings


def _first_roster(lineage: bytes | None, terms: WalletTerms, pinned: Roster) -> Roster:
    """Of a wallet that some holders of the pinned roster began with; of any other, that one."""
    try:
        known = Lineage.from_bytes(lineage or b"", terms, KeyBook(pinned, {}))
    except (BadInput, InvalidSignature):
        return pinned
    return known.stages[0].book.roster


def _certificates(holder: OpenHolder) -> Iterator[Certificate]:
    """Of the first epoch of every wallet: those after it name rosters that it has led to.

    Raises:
        Tampered: a file of the store does not parse.
    """
    for _, epochs in holder.epochs():
        for h in epochs.hashes():
            encoded = epochs.kept(h, EpochDocument.CERTIFICATE)
            if encoded is None or body_of(h, epochs.kept(h, EpochDocument.BODY) or b"").epoch:
                continue
            try:
                yield Certificate.from_bytes(encoded)
            except BadInput as broken:
                raise Tampered(f"certificate of epoch {h.hex()}: {broken}") from broken


def _heard(name: str, channels: Mapping[str, Channel] | None) -> str:
    """Empty where no signer runs that could have heard anybody."""
    if channels is None:
        return ""
    if name not in channels:
        return "; not heard since this signer started"
    return f"; heard under its key, certified until {_utc(channels[name].content.not_after)}"


def heard(acting: ActingHolder) -> dict[str, Channel]:
    """The newest channel of each peer that the signer was shown, by the peer's name."""
    return {
        member.name: known[0]
        for index, member in enumerate(acting.roster.members, 1)
        if index != acting.me and (known := acting.keys.channels(index))
    }


def channel(acting: ActingHolder) -> list[Finding]:
    """The one certificate that ends by itself; the identity key renews it an hour before."""
    now = acting.clock()
    content = acting.channel.signer(now).channel.content
    said = f"certified until {_utc(content.not_after)}, renewed an hour before by the HSM"
    if content.not_after - now < _LEAST_SECONDS:
        return [warn("channel", f"{said}: it is late", "see the signer's log")]
    return [ok("channel", said)]


def _utc(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
