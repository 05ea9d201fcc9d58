"""BLAME before those who judge it: h2 accuses h3, who has dealt as it should."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hsm_mpc.agent.blame import Accusation
from hsm_mpc.errors import ProtocolAbort
from hsm_mpc.ids import Scheme
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.rounds import BLAME
from tests.agent.simulate import World
from tests.malice import fields
from tests.malice.bench import BY_SENDER, ON_THE_WAY, RELAY, recorded
from tests.malice.ceremony import Ceremony
from tests.malice.envelopes import (
    HEADER,
    by_its_sender,
    header_by_its_sender,
    on_the_way,
    seals,
    signed_again,
    with_payload,
)
from tests.malice.fields import Change, at, flipped
from tests.malice.verdicts import LIAR, Attack, Verdict

ACCUSER = "accuser h2"
_HONEST = 3


@dataclass
class _Trial:
    """What everybody judges by."""

    ceremony: Ceremony
    hellos: Sequence[bytes]
    blame: bytes
    """False: h3 has dealt well."""

    def judged(self, blame: bytes, judges: Sequence[int]) -> list[Verdict]:
        world, proposal = self.ceremony.world, self.ceremony.proposal.to_bytes()
        verdicts = []
        for index in judges:
            judge = world.parties[index].ceremonies.judge
            try:
                guilty = judge(blame, proposal, self.hellos)
            except Exception as refused:
                verdicts.append(Verdict.of(f"h{index}", refused))
                continue
            assert guilty == LIAR
            said = "by the messages in it, the accuser lies"
            verdicts.append(Verdict(f"h{index}", "agent.blame.judge", said, (guilty,), True))
        return verdicts


def attacks(world: World, scheme: Scheme) -> list[Attack]:
    """Each field; then accusations that lie as a whole."""
    trial = _trial(world, scheme)
    accusation = Accusation.from_bytes(parse_envelope(trial.blame).payload)
    sizes = len(accusation.hello), len(accusation.dealing), len(accusation.channel)
    of_blame = fields.of_blame(*sizes)
    ways: list[tuple[str, str, str, Change]] = [
        *((each.name, ON_THE_WAY, RELAY, each.change) for each in (*HEADER, *seals(trial.blame))),
        *((each.name, BY_SENDER, ACCUSER, header_by_its_sender(world, each)) for each in HEADER),
        *((each.name, ON_THE_WAY, RELAY, on_the_way(each)) for each in of_blame),
        *((each.name, BY_SENDER, ACCUSER, by_its_sender(world, each)) for each in of_blame),
    ]
    for what, lie in _lies(trial, accusation).items():
        ways.append((what, "a false accusation", ACCUSER, _accusing(world, lie)))
    return [
        recorded(
            BLAME.name,
            what,
            how,
            liar,
            trial.judged(change(trial.blame), (1, 3) if liar == ACCUSER else (1, 2, 3)),
        )
        for what, how, liar, change in ways
    ]


def _lies(trial: _Trial, accusation: Accusation) -> dict[str, Accusation]:
    own = trial.ceremony
    return {
        "of a flawless dealing": accusation,
        "of a dealing that h1 made": replace(accusation, dealing=own.message("msg1", 1)),
        "of h1, with what h3 said": replace(accusation, accused=1),
        "with the HELLO of h1": replace(accusation, hello=own.message("HELLO", 1)),
        "of oneself": replace(accusation, accused=LIAR),
        "of a holder that there is not": replace(accusation, accused=9),
        "with a key of 0": replace(accusation, static=bytes(32)),
        "with a key above the order": replace(accusation, static=b"\xff" * 32),
        "with a HELLO for a dealing": replace(accusation, dealing=accusation.hello),
    }


def _accusing(world: World, accusation: Accusation) -> Change:
    return lambda source: signed_again(world, source, with_payload(source, accusation.to_bytes()))


def _trial(world: World, scheme: Scheme) -> _Trial:
    """h2 got a share that does not open, and says so; then h3's true dealing takes its place."""
    ceremony = Ceremony.of(world, scheme).to("msg1")
    honest = ceremony.message("msg1", _HONEST)
    payload = parse_envelope(honest).payload
    torn = at("", len(payload) - 2 * 56 + 8, 48, flipped).change(payload)
    false = signed_again(world, honest, with_payload(honest, torn))
    one, two, _ = ceremony.sent["msg1"][LIAR]
    accuser = world.parties[LIAR].ceremonies
    try:
        accuser.take_dealings([one, two, false], ceremony.channels[LIAR])
    except ProtocolAbort as aborted:
        assert aborted.culprits == (_HONEST,)
    (blame,) = accuser.accusations(ceremony.wallet_id)
    accusation = Accusation.from_bytes(parse_envelope(blame).payload)
    hellos = ceremony.sent["HELLO"][1]
    lie = replace(accusation, dealing=honest)
    trial = _Trial(ceremony, hellos, _accusing(world, lie)(blame))
    ceremony.end()
    return trial
