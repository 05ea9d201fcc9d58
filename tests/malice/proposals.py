"""What a coordinator and the relay do to PROPOSAL."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from hsm_mpc.certificates.clients import Client, ClientList
from hsm_mpc.certificates.proposal import Proposal
from hsm_mpc.certificates.quorum import QuorumSizes
from hsm_mpc.certificates.terms import wallet_id_of
from hsm_mpc.errors import BadInput
from hsm_mpc.ids import Scheme
from hsm_mpc.roster import FIRST_PREDECESSOR, Roster
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.rounds import PROPOSAL
from tests.agent.simulate import LAB_POLICY, NOTHING, World
from tests.malice import fields
from tests.malice.bench import BY_SENDER, COORDINATOR, RELAY, Bench, Tamper
from tests.malice.ceremony import Ceremony
from tests.malice.envelopes import by_its_sender
from tests.malice.fields import Field
from tests.software_identity import ed25519_key

_OTHER_POLICY = LAB_POLICY + b"# another\n"
_SPLIT = "split"
_CONSISTENT = "another plan, as good as the one that was asked for"

Plan = Callable[[Proposal], Proposal]


def attack(bench: Bench, other: Ceremony) -> None:
    """Each field; then plans that are right in themselves, and not what the client asked for."""
    bench.at("PROPOSAL")
    of_proposal = fields.of_proposal(bench.ceremony.proposal)
    bench.envelope(COORDINATOR)
    bench.payload_on_the_way(of_proposal)
    for each in of_proposal:
        bench.run(each.name, BY_SENDER, COORDINATOR, _lied(bench.world, each))
    for what, plan in _other_plans(bench.world, bench.scheme).items():
        _proposed(bench, what, _CONSISTENT, plan, (1, 2, 3))
    _proposed(
        bench,
        "another policy file",
        _CONSISTENT,
        _of_policy(_OTHER_POLICY),
        (1, 2, 3),
        _OTHER_POLICY,
    )
    _proposed(
        bench,
        "a policy file that it does not name",
        _CONSISTENT,
        _of_policy(LAB_POLICY),
        (1, 2, 3),
        _OTHER_POLICY,
    )
    _proposed(
        bench,
        "another deadline to h3",
        _SPLIT,
        lambda plan: replace(plan, deadline=plan.deadline + 1),
        (3,),
    )
    _proposed(
        bench, "another nonce to h3", _SPLIT, lambda plan: rederived(plan, nonce=bytes(32)), (3,)
    )
    same = "it is answered with the same HELLO"
    bench.run("the same again", "doubled", RELAY, _doubled, same)
    ended = Ceremony.of(bench.world, bench.scheme).to("HELLO")
    ended.end()
    for what, past in (("of a wallet that is there", other), ("of a session that ended", ended)):
        bench.run(f"that {what}", "replayed", RELAY, _replayed(past))


def _replayed(past: Ceremony) -> Tamper:
    return lambda ceremony: ceremony.change("PROPOSAL", lambda _: past.message("PROPOSAL"))


def _lied(world: World, each: Field) -> Tamper:
    """The coordinator stands by what it proposed, if that is a proposal."""
    change = by_its_sender(world, each)

    def tamper(ceremony: Ceremony) -> None:
        ceremony.change("PROPOSAL", change)
        with suppress(BadInput):
            payload = parse_envelope(ceremony.message("PROPOSAL")).payload
            ceremony.proposal = Proposal.from_bytes(payload)

    return tamper


def rederived(plan: Proposal, **changes: object) -> Proposal:
    """Another plan whose wallet_id follows from its name and nonce."""
    nonce, name = changes.get("nonce", plan.nonce), changes.get("name", plan.name)
    assert isinstance(nonce, bytes)
    assert isinstance(name, str)
    clients = ClientList(wallet_id_of(name, nonce), 1, FIRST_PREDECESSOR, plan.clients.clients)
    return replace(plan, **{"clients": clients, **changes})  # type: ignore[arg-type]


def _other_plans(world: World, scheme: Scheme) -> dict[str, Plan]:
    stranger = Client("stranger", ed25519_key(b"3" * 32).public)
    (member, *others) = world.roster.members
    renamed = Roster(True, 1, FIRST_PREDECESSOR, (replace(member, name="h9"), *others))
    fewer = QuorumSizes.default(3, 3)
    other_scheme = Scheme.ED25519 if scheme is Scheme.TAPROOT else Scheme.TAPROOT

    def of_clients(*clients: Client) -> Plan:
        return lambda plan: replace(plan, clients=replace(plan.clients, clients=clients))

    return {
        "another name": lambda plan: rederived(plan, name="mallory"),
        "the other scheme": lambda plan: replace(plan, scheme=other_scheme),
        "3 of 3 for 2 of 3": lambda plan: replace(plan, sizes=fewer),
        "a client that the holders do not know": of_clients(stranger),
        "the client under another name": of_clients(Client("mallory", world.client.public)),
        "no client at all": of_clients(),
        "another roster": lambda plan: replace(plan, roster=renamed),
        "a deadline that has passed": lambda plan: replace(plan, deadline=world.clock() - 1),
    }


def _of_policy(policy: bytes) -> Plan:
    digest = hashlib.sha256(policy).digest()
    return lambda plan: replace(plan, policy_hash=digest)


def _proposed(
    bench: Bench,
    what: str,
    how: str,
    plan: Plan,
    receivers: tuple[int, ...],
    policy: bytes = LAB_POLICY,
) -> None:
    def tamper(ceremony: Ceremony) -> None:
        other = plan(ceremony.proposal)
        wallet_id = other.terms.wallet_id
        message = bench.world.said(PROPOSAL, wallet_id, NOTHING, NOTHING, other.to_bytes())
        ceremony.change("PROPOSAL", lambda _: message, receivers)
        if len(receivers) == 3:
            ceremony.proposal = other
        ceremony.policy = policy

    bench.run(what, how, COORDINATOR, tamper)


def _doubled(ceremony: Ceremony) -> None:
    parties = ceremony.world.parties
    first = {
        index: parties[index].ceremonies.propose(ceremony.message("PROPOSAL"), LAB_POLICY)
        for index in parties
    }
    again = {
        index: parties[index].ceremonies.propose(ceremony.message("PROPOSAL"), LAB_POLICY)
        for index in parties
    }
    assert first == again
