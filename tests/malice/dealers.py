"""Dealings that are well made, and false."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hsm_mpc.protocols import dkg
from hsm_mpc.protocols.dkg_messages import Dealing1
from hsm_mpc.protocols.rounds import abort
from hsm_mpc.wire.envelope import parse_envelope
from tests.malice.bench import DEALER, Bench, Tamper
from tests.malice.ceremony import Ceremony
from tests.malice.envelopes import signed_again, with_payload
from tests.malice.verdicts import LIAR
from tests.protocols.keygen import Party, forged

_POLYNOMIAL = (600, 3)
_FALSE = "well made, and false"
Spoil = Callable[[Party], Dealing1]


def attack(bench: Bench) -> None:
    """False shares, copies and split views."""
    false: dict[str, Spoil] = {
        "a share of another polynomial for h1": lambda me: forged(
            me, _POLYNOMIAL, 77, shares={1: 604}
        ),
        "a share of 0 for h1": lambda me: forged(me, _POLYNOMIAL, 77, raw_shares={1: bytes(32)}),
        "a share for h1 that is no scalar": lambda me: forged(
            me, _POLYNOMIAL, 77, raw_shares={1: b"\xff" * 32}
        ),
        "the share of h3 for h1": _crossed,
    }
    for what, spoil in false.items():
        bench.run(what, _FALSE, DEALER, _dealt(bench, spoil))
    for name in ("commitments", "possession", "ephemeral", "sealed"):
        bench.run(f"the {name} of h3", "copied", DEALER, _copied(bench, name))
    bench.run("all that h3 dealt", "copied", DEALER, _copied(bench, ""))
    bench.run("another dealing to h3 than to h1, both right", "split", DEALER, _split(bench))
    bench.run("two dealings, one after the other", "equivocation", DEALER, _twice(bench))


def _crossed(me: Party) -> Dealing1:
    honest = forged(me, _POLYNOMIAL, 77)
    return replace(honest, sealed=(honest.sealed[2], *honest.sealed[1:]))


def _dealt(bench: Bench, spoil: Spoil) -> Tamper:
    def tamper(ceremony: Ceremony) -> None:
        accusable = ceremony.session(LIAR).accusable()
        assert accusable is not None
        _say(bench, ceremony, spoil(Party(*accusable)).to_bytes(), 1, 3)

    return tamper


def _say(bench: Bench, ceremony: Ceremony, payload: bytes, *receivers: int) -> None:
    def change(source: bytes) -> bytes:
        return signed_again(bench.world, source, with_payload(source, payload))

    ceremony.change("msg1", change, receivers)


def _copied(bench: Bench, name: str) -> Tamper:
    def tamper(ceremony: Ceremony) -> None:
        accusable = ceremony.session(LIAR).accusable()
        assert accusable is not None
        own, theirs = (
            Dealing1.from_bytes(
                parse_envelope(ceremony.message("msg1", index)).payload, accusable[0]
            )
            for index in (LIAR, 3)
        )
        said = replace(own, **{name: getattr(theirs, name)}) if name else theirs
        _say(bench, ceremony, said.to_bytes(), 1, 3)

    return tamper


def _another(ceremony: Ceremony) -> bytes:
    """A second dealing of the liar, as good as the first."""
    session = ceremony.session(LIAR)
    accusable = session.accusable()
    assert accusable is not None
    keep, outbox = dkg.start(*accusable, session._draw)
    abort(keep)
    return outbox.to_all


def _split(bench: Bench) -> Tamper:
    return lambda ceremony: _say(bench, ceremony, _another(ceremony), 3)


def _twice(bench: Bench) -> Tamper:
    """The honest have answered the first."""

    def tamper(ceremony: Ceremony) -> None:
        false = _another(ceremony)
        for index in ceremony.honest:
            party = ceremony.world.parties[index]
            party.ceremonies.take_dealings(ceremony.sent["msg1"][index], ceremony.channels[index])
        ceremony.sealed = True
        _say(bench, ceremony, false, 1, 3)

    return tamper
