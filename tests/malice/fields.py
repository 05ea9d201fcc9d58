"""Where each field of each payload lies, and how it is changed: once, and so that it tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.certificates.proposal import Proposal
from hsm_mpc.groups.base import Group
from hsm_mpc.groups.ed25519 import ED25519
from hsm_mpc.groups.proofs import signature_length
from hsm_mpc.protocols.signing_messages import LEASE_ID_BYTES, SignPayload
from hsm_mpc.requests import Request

Change = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Field:
    """A name, and what is done to the payload."""

    name: str
    change: Change


def at(name: str, start: int, length: int, change: Change) -> Field:
    def changed(payload: bytes) -> bytes:
        end = start + length
        return payload[:start] + change(payload[start:end]) + payload[end:]

    return Field(name, changed)


def flipped(value: bytes) -> bytes:
    """The lowest bit of the byte in the middle."""
    middle = len(value) // 2
    return value[:middle] + bytes([value[middle] ^ 1]) + value[middle + 1 :]


def lowest(value: bytes) -> bytes:
    """A number in big-endian bytes whose lowest bit is another."""
    return value[:-1] + bytes([value[-1] ^ 1])


def one_more(value: bytes) -> bytes:
    return (int.from_bytes(value, "big") + 1).to_bytes(len(value), "big")


def one_less(value: bytes) -> bytes:
    return (int.from_bytes(value, "big") - 1).to_bytes(len(value), "big")


def zeros(value: bytes) -> bytes:
    return bytes(len(value))


def most(value: bytes) -> bytes:
    """A length or count with every bit set: nothing of that size follows."""
    return b"\xff" * len(value)


def negated(group: Group) -> Change:
    """Another valid point, for certain."""

    def change(point: bytes) -> bytes:
        if group is ED25519:
            return point[:-1] + bytes([point[-1] ^ 0x80])
        return bytes([point[0] ^ 1]) + point[1:]

    return change


def no_point(group: Group) -> Change:
    """For Ed25519 a point of order 1, for secp256k1 none at all."""
    return lambda point: b"\1" + bytes(len(point) - 1)


def another_scalar(group: Group) -> Change:
    """One higher or lower, in the group's order of bytes."""
    if group is ED25519:
        return lambda scalar: bytes([scalar[0] ^ 1]) + scalar[1:]
    return lowest


class Layout:
    """Fields one behind another."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._offset = 0
        self.fields: list[Field] = []

    def raw(self, name: str, length: int, change: Change = flipped) -> Layout:
        self.fields.append(at(name, self._offset, length, change))
        return self.skip(length)

    def number(self, name: str, length: int) -> Layout:
        return self.raw(name, length, lowest)

    def also(self, name: str, length: int, change: Change) -> Layout:
        """Another change of what comes next."""
        self.fields.append(at(name, self._offset, length, change))
        return self

    def digest(self, name: str) -> Layout:
        return self.also(f"{name} of zeros", 32, zeros).raw(name, 32)

    def none(self, name: str, length: int) -> Layout:
        """A number that is 0."""
        return self.also(f"{name} at its most", length, most).raw(f"{name} 1", length, lowest)

    def bounds(self, name: str, length: int) -> Layout:
        """A number, what it is next to, 0, and the highest that there is."""
        self.also(f"{name} 0", length, zeros).also(f"{name} at its most", length, most)
        return self.number(name, length)

    def length(self, of: str, length: int) -> Layout:
        return self.raw(f"length of {of}", length, most)

    def lv16(self, name: str, length: int) -> Layout:
        return self.length(name, 2).raw(name, length)

    def point(self, name: str) -> Layout:
        start, width = self._offset, self._group.point_length
        self.fields += [
            at(f"{name} negated", start, width, negated(self._group)),
            at(f"{name} no point", start, width, no_point(self._group)),
        ]
        return self.skip(width)

    def signature(self, name: str, length: int) -> Layout:
        """R ‖ z of COCKTAIL: z one higher or lower, R another."""
        width = self._group.point_length
        change = another_scalar(self._group)
        self.fields += [
            at(f"R of {name}", self._offset, width, negated(self._group)),
            at(f"z of {name}", self._offset + width, length - width, change),
        ]
        return self.skip(length)

    def skip(self, length: int) -> Layout:
        self._offset += length
        return self

    def ends(self) -> list[Field]:
        """All of them, and the payload with another end."""
        return [
            *self.fields,
            Field("one byte more", lambda payload: payload + b"\0"),
            Field("one byte less", lambda payload: payload[:-1]),
            Field("nothing at all", lambda payload: b""),
        ]


def of_proposal(proposal: Proposal) -> list[Field]:
    roster, clients = proposal.roster.to_bytes(), proposal.clients.to_bytes()
    layout = Layout(proposal.terms.group)
    layout.number("protocol version", 1).raw("nonce", 32).lv16("name", len(proposal.name))
    layout.raw("wallet_id", 16).raw("scheme", 1, lambda _: b"\x07")
    layout.number("t", 2).number("J", 2).number("W", 2)
    layout.length("ROSTER", 4).raw(
        "ROSTER", len(roster), lambda value: lowest(value[:6]) + value[6:]
    )
    layout.raw("policy_hash", 32).length("CLIENTS", 4)
    layout.raw("CLIENTS", len(clients), lowest).raw("deadline", 8, lambda value: bytes(8))
    return layout.ends()


def of_hello(group: Group) -> list[Field]:
    layout = Layout(group).raw("nonce", 32).point("P").point("V").raw("kek_digest", 32)
    return layout.ends()


def of_dealing(group: Group, t: int, n: int) -> list[Field]:
    layout = Layout(group)
    for k in range(t):
        layout.point(f"C_{k}")
    layout.signature("PoP", group.point_length + 32).point("E")
    for holder in range(1, n + 1):
        layout.length(f"the frame for h{holder}", 8).raw(f"ciphertext for h{holder}", 32)
        layout.raw(f"tag for h{holder}", 16)
    return layout.ends()


def of_confirmation(group: Group, acknowledgement: int) -> list[Field]:
    layout = Layout(group).signature("sig", group.point_length + 32).raw("blob_digest", 32)
    return layout.lv16("ACK", acknowledgement).ends()


def of_done(group: Group) -> list[Field]:
    layout = Layout(group).number("α", 10).raw("h", 32).point("V")
    return layout.raw("kek_digest", 32).raw("blob_digest", 32).ends()


def of_channel(signature: int) -> list[Field]:
    layout = Layout(ED25519).raw("boot", 16).raw("ch_pk", 32, lambda _: b"\1" + bytes(31))
    layout.raw("cx_pk", 32).raw("lowest", 1, lambda _: b"\2").raw("highest", 1, lambda _: b"\2")
    layout.raw("not_before", 8, one_more).raw("not_after", 8, one_less).lv16("IdSign", signature)
    return layout.ends()


def of_request(request: Request) -> list[Field]:
    content, key = request.content, request.key
    layout = Layout(ED25519).number("version", 1).raw("wallet_id", 16)
    layout.raw("type", 1, lambda _: b"\x09").length("the message", 4)
    layout.raw("message", len(content.content)).raw("count of paths", 2, most)
    layout.number("change", 4).number("index", 4).length("the script root", 2)
    layout.length("the policy evidence", 4).raw("not_after", 8, one_more).raw("nonce", 32)
    layout.raw("algorithm", 1, lambda _: b"\x09").lv16("request key", len(key.encoded))
    return layout.lv16("client's signature", len(request.signature)).ends()


def of_commit(group: Group, halves: int = 2) -> list[Field]:
    layout = Layout(group).number("k", 2).raw("lease_id", LEASE_ID_BYTES)
    for half in range(1, halves + 1):
        layout.point(f"nonce {half}")
    return layout.ends()


def of_sign(payload: bytes) -> list[Field]:
    layout = Layout(ED25519).number("attempt", 4).number("k", 2).raw("u", 2, most)
    for number, commit in enumerate(SignPayload.from_bytes(payload).commits, 1):
        layout.length(f"entry {number}", 4).skip(len(commit))
    return layout.ends()


def of_partial(group: Group) -> list[Field]:
    layout = Layout(group).raw("lease_id", LEASE_ID_BYTES).raw("hash of the list", 32)
    layout.raw("partial signature", 32, another_scalar(group)).fields.append(
        at("partial signature above the order", 48, 32, lambda _: b"\xff" * 32)
    )
    return layout.ends()


def of_blame(hello: int, dealing: int, channel: int) -> list[Field]:
    layout = Layout(ED25519).number("j", 2).raw("d", 32)
    for name, length in (("HELLO", hello), ("msg1", dealing), ("CHANNEL", channel)):
        layout.length(name, 4).raw(name, length)
    return layout.ends()


def of_certificate(certificate: Certificate, holder: int) -> list[Field]:
    """Of what is there once for each holder, that of one."""
    terms = certificate.body.terms
    layout = Layout(terms.group).length("body", 4)
    layout.number("body: protocol version", 1).number("body: kind", 1)
    _terms_head(layout, "body", len(terms.name))
    layout.number("body: e", 4).raw("body: prev_hash", 32)
    _terms_tail(layout, "body")
    for k in range(terms.sizes.t):
        layout.point(f"body: A_{k}")
    layout.raw("body: transcript_hash", 32).length("T", 4)
    _transcript(layout, certificate, holder)
    width = signature_length(certificate.transcript.suite)
    for index in range(1, terms.sizes.n + 1):
        if index == holder:
            layout.signature("sig", width)
        else:
            layout.skip(width)
    for index, ack in enumerate(certificate.acknowledgements, 1):
        if index == holder:
            layout.raw("kek_digest", 32).raw("blob_digest", 32).lv16("ACK", len(ack.signature))
        else:
            layout.skip(66 + len(ack.signature))
    return layout.ends()


def _terms_head(layout: Layout, where: str, name: int) -> None:
    layout.raw(f"{where}: wallet_id", 16).lv16(f"{where}: name", name)
    layout.raw(f"{where}: scheme", 1, lambda _: b"\x07")


def _terms_tail(layout: Layout, where: str) -> None:
    for size in "ntJW":
        layout.number(f"{where}: {size}", 2)
    layout.raw(f"{where}: roster_hash", 32).raw(f"{where}: policy_hash", 32)


def _transcript(layout: Layout, certificate: Certificate, holder: int) -> None:
    transcript, extension = certificate.transcript, certificate.extension
    suite, n, width = transcript.suite, transcript.n, transcript.suite.group.point_length
    layout.length("T: suite_id", 8).raw("T: suite_id", len(suite.suite_id))
    layout.length("T: context", 8).raw("T: context", len(transcript.context))
    for name in "nt":
        layout.raw(f"T: {name}", 4, most)
    _of_one(n, holder, width, layout, lambda: layout.point("T: P"))
    for index in range(1, n + 1):
        for k in range(transcript.threshold):
            if index == holder:
                layout.point(f"T: C_{k}")
            else:
                layout.skip(width)
    length = signature_length(suite)
    _of_one(n, holder, length, layout, lambda: layout.signature("T: PoP", length))
    _of_one(n, holder, width, layout, lambda: layout.point("T: E"))
    layout.length("T: ext", 8).raw("ext: HMPC-EXT1", 9)
    _terms_head(layout, "ext", len(extension.terms.name))
    _terms_tail(layout, "ext")
    layout.raw("ext: clients_hash", 32)
    _of_one(n, holder, width, layout, lambda: layout.point("ext: V"))
    _of_one(n, holder, 32, layout, lambda: layout.raw("ext: kek_digest", 32))
    layout.raw("ext: session_id", 32)


def _of_one(n: int, holder: int, length: int, layout: Layout, there: Callable[[], Layout]) -> None:
    for index in range(1, n + 1):
        if index == holder:
            there()
        else:
            layout.skip(length)
