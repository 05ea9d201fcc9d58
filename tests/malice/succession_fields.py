"""Where the fields of the messages of a succession lie."""

from __future__ import annotations

from hsm_mpc.certificates.certificate import Acknowledgement
from hsm_mpc.encoding import Reader
from hsm_mpc.groups.base import Group
from hsm_mpc.groups.ed25519 import ED25519
from hsm_mpc.succession.propose import Propose
from hsm_mpc.succession.retirement import Retirement
from hsm_mpc.succession.successor import SuccessorCertificate
from tests.malice.fields import Field, Layout, most, one_less, one_more, zeros
from tests.malice.verdicts import LIAR


def _attempt(group: Group = ED25519) -> Layout:
    layout = Layout(group).also("α of zeros", 10, zeros).also("α at its most", 10, most)
    return layout.raw("α: counter", 8, one_more).number("α: initiator", 2)


def of_ask(payload: bytes) -> list[Field]:
    reader = Reader(payload, "ask")
    reader.take(11)
    reason, _, retirement = reader.lv16(), reader.u64be(), reader.lv32()
    _, resharing = reader.lv32(), reader.lv32()
    layout = _attempt().bounds("kind", 1).lv16("reason", len(reason)).bounds("deadline", 8)
    layout.length("RETIRE", 4)
    if retirement:
        layout.number("RETIRE", len(retirement))
    layout.length("the policy", 4).length("the resharing", 4)
    if resharing:
        for size in ("t'", "J'", "W'"):
            layout.bounds(size, 2)
        layout.length("ROSTER'", 4).bounds("flags of ROSTER'", 1).bounds("its version", 4)
        layout.digest("its predecessor").bounds("its n", 2)
    return layout.ends()


def of_join() -> list[Field]:
    return _attempt().none("form", 1).ends()


def of_propose(payload: bytes, n: int) -> list[Field]:
    """Of what is there once for each holder, that of one."""
    content = Propose.from_bytes(payload, n)
    layout = _attempt().digest("hash of ASK").none("form", 1).raw("h'", 32)
    _messages(layout, "JOIN", content.joins)
    _messages(layout, "CERT", content.adopted)
    for index, done in enumerate(content.dones, 1):
        if index == LIAR:
            layout.length("the DONE", 4).number("the DONE", len(done))
        else:
            layout.skip(4 + len(done))
    layout.none("count of amendments", 2)
    if content.hellos:
        _messages(layout, "HELLO'", content.hellos)
    return layout.ends()


def _messages(layout: Layout, name: str, messages: tuple[bytes, ...]) -> None:
    """A list, of which the second is the liar's."""
    if messages:
        layout.bounds(f"count of {name}s", 2)
    else:
        layout.none(f"count of {name}s", 2)
    for number, message in enumerate(messages, 1):
        if number == LIAR:
            layout.length(f"the {name}", 4).number(f"the {name}", len(message))
        else:
            layout.skip(4 + len(message))


def of_deal(group: Group, t: int, n: int, lowest: int = 1) -> list[Field]:
    """`lowest`: of the coefficients that it commits to, 0 in a resharing."""
    layout = _attempt(group).digest("sid")
    for k in range(lowest, t):
        layout.point(f"C_{k}")
    for proof in ("PoP", "PoP^E", "PoP^V"):
        layout.signature(proof, group.point_length + 32)
    layout.point("E")
    for holder in range(1, n + 1):
        layout.length(f"the frame for h{holder}", 8).raw(f"ciphertext for h{holder}", 32)
        layout.raw(f"tag for h{holder}", 16)
    return layout.ends()


def of_ack(acknowledgement: Acknowledgement) -> list[Field]:
    layout = _attempt().digest("h'")
    _acknowledged(layout, acknowledgement, "signature")
    return layout.ends()


def of_done(group: Group) -> list[Field]:
    return _done(_attempt(group))


def of_done_in_no_attempt(group: Group) -> list[Field]:
    """After a repair."""
    return _done(Layout(group).none("α", 10))


def _done(layout: Layout) -> list[Field]:
    layout.digest("h'").point("V").digest("kek_digest")
    return layout.digest("blob_digest").ends()


def of_retirement(retirement: Retirement) -> list[Field]:
    layout = Layout(ED25519).none("form", 1)
    _messages(layout, "DONE", retirement.dones)
    return layout.ends()


def of_destroyed() -> list[Field]:
    layout = _attempt().digest("h_e").digest("h'").digest("kek_digest")
    return layout.also("destroyed_at 0", 8, zeros).raw("destroyed_at", 8, one_less).ends()


def of_certificate(certificate: SuccessorCertificate) -> list[Field]:
    """Of what is there once for each holder, that of one."""
    layout = _body_and_propose(certificate)
    _of_holders(layout, certificate)
    return layout.ends()


def of_shared_certificate(certificate: SuccessorCertificate) -> list[Field]:
    """The same of a resharing."""
    shared_anew = certificate.shared_anew
    assert shared_anew is not None
    layout = _body_and_propose(certificate)
    layout.length("ROSTER'", 4).skip(1).bounds("version of ROSTER'", 4)
    layout.digest("predecessor of ROSTER'").skip(len(shared_anew.roster.to_bytes()) - 37)
    for size in "ntJW":
        layout.bounds(f"{size} of e", 2)
    _of_holders(layout, certificate)
    for k, ack in enumerate(shared_anew.acknowledgements, 1):
        if k == LIAR:
            layout.digest("kek_digest'").digest("blob_digest'").lv16("ACK'", len(ack.signature))
        else:
            layout.skip(66 + len(ack.signature))
    return layout.ends()


def _body_and_propose(certificate: SuccessorCertificate) -> Layout:
    terms = certificate.body.terms
    layout = Layout(terms.group).length("body", 4)
    layout.bounds("body: protocol version", 1).bounds("body: kind", 1)
    layout.raw("body: wallet_id", 16).lv16("body: name", len(terms.name))
    layout.raw("body: scheme", 1, lambda _: b"\x07").bounds("body: e", 4)
    layout.digest("body: prev_hash")
    for size in "ntJW":
        layout.bounds(f"body: {size}", 2)
    layout.digest("body: roster_hash").digest("body: policy_hash")
    for k in range(terms.sizes.t):
        layout.point(f"body: A_{k}")
    layout.digest("body: transcript_hash")
    return layout.length("PROPOSE", 4).number("PROPOSE", len(certificate.propose))


def _of_holders(layout: Layout, certificate: SuccessorCertificate) -> None:
    for number in range(1, len(certificate.deal_digests) + 1):
        if number == LIAR:
            layout.digest("hash of DEAL")
        else:
            layout.skip(32)
    for number, ack in enumerate(certificate.acknowledgements, 1):
        if number == LIAR:
            _acknowledged(layout, ack, "ACK")
        else:
            layout.skip(66 + len(ack.signature))


def _acknowledged(layout: Layout, ack: Acknowledgement, signature: str) -> None:
    """Of an old holder in a resharing both digests are zeros."""
    for name in ("kek_digest", "blob_digest"):
        if any(ack.kek_digest):
            layout.digest(name)
        else:
            layout.raw(name, 32)
    layout.lv16(signature, len(ack.signature))


def of_new_hello(group: Group) -> list[Field]:
    return Layout(group).digest("nonce").point("V'").digest("kek_digest'").ends()
