"""CHANNEL, as it is shown to holders beside msg1."""

from __future__ import annotations

from dataclasses import replace

from hsm_mpc.certificates.channel import Channel, UnsignedChannel
from hsm_mpc.ids import Scheme
from hsm_mpc.tags import Tag
from hsm_mpc.wire.channels import channel_address
from hsm_mpc.wire.envelope import parse_envelope, seal_envelope
from hsm_mpc.wire.rounds import CHANNEL, Key
from tests.agent.simulate import World
from tests.malice import fields
from tests.malice.bench import BY_SENDER, DEALER, ON_THE_WAY, RELAY, Bench, Tamper
from tests.malice.ceremony import Ceremony
from tests.malice.envelopes import HEADER, by_its_sender, header_by_its_sender, on_the_way, seals
from tests.malice.fields import Change
from tests.malice.verdicts import LIAR, Attack

BY_CHANNEL_KEY = "signed so by its channel key alone"
BY_HSM = "signed so by its HSM"


def attacks(world: World, scheme: Scheme) -> list[Attack]:
    """In a world of its own: a holder remembers the channels that it has seen."""
    bench = Bench(world, scheme)
    bench.at("msg1")
    name = CHANNEL.name
    message = bench.ceremony.channels[1][LIAR - 1]
    signature = len(parse_envelope(message).payload) - 98 - 2
    of_channel = fields.of_channel(signature)
    ways: list[tuple[str, str, str, Change]] = [
        *((each.name, ON_THE_WAY, RELAY, each.change) for each in (*HEADER, *seals(message))),
        *((each.name, BY_SENDER, DEALER, header_by_its_sender(world, each)) for each in HEADER),
        *((each.name, ON_THE_WAY, RELAY, on_the_way(each)) for each in of_channel),
        *((each.name, BY_CHANNEL_KEY, DEALER, by_its_sender(world, each)) for each in of_channel),
    ]
    for what, how, liar, change in ways:
        bench.run(what, how, liar, _shown(change), message=name)
    now = world.clock()
    bench.run("that of h3 in its place", "swapped", RELAY, _in_place, message=name)
    bench.run("msg1 in its place", "sent in another round", RELAY, _dealing_in_place, message=name)
    certified: dict[str, dict[str, int]] = {
        "over since yesterday": {"not_before": now - 90_000, "not_after": now - 3_600},
        "from tomorrow on": {"not_before": now + 3_600, "not_after": now + 7_200},
        "of protocol version 2 only": {"lowest": 2, "highest": 2},
    }
    for what, changes in certified.items():
        bench.run(what, BY_HSM, DEALER, _shown(_certified(bench, changes)), message=name)
    bench.ceremony.end()
    return bench.attacks


def _shown(change: Change) -> Tamper:
    def tamper(ceremony: Ceremony) -> None:
        for index in ceremony.honest:
            one, two, three = ceremony.channels[index]
            ceremony.channels[index] = [one, change(two), three]

    return tamper


def _certified(bench: Bench, changes: dict[str, int]) -> Change:
    """Another CHANNEL of the liar, with the keys that it has."""

    def change(source: bytes) -> bytes:
        acting = bench.world.parties[LIAR].acting
        signer = acting.channel.signer(bench.world.clock())
        content: UnsignedChannel = replace(signer.channel.content, **changes)  # type: ignore[arg-type]
        signed = acting.identity.sign(Tag.CHANNEL, content.signed_message(acting.identity.key))
        channel = Channel(acting.identity.key, content, signed)
        lying = replace(signer, channel=channel)
        address = channel_address(LIAR)
        return seal_envelope(
            CHANNEL, address, channel.to_bytes(), Key.CHANNEL, lying.sign
        ).to_bytes()

    return change


def _in_place(ceremony: Ceremony) -> None:
    for index, (one, _, three) in ceremony.channels.items():
        ceremony.channels[index] = [one, three, three]


def _dealing_in_place(ceremony: Ceremony) -> None:
    for index, (one, _, three) in ceremony.channels.items():
        ceremony.channels[index] = [one, ceremony.message("msg1"), three]
