"""docs/malice.md: what was tried, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from hsm_mpc.hsm.module import Module
from hsm_mpc.ids import Scheme
from hsm_mpc.secure.arena import Arena
from tests.agent.simulate import World
from tests.malice import (
    accusers,
    acknowledging,
    amending,
    channels,
    deciding,
    keygen,
    ordering,
    repairing,
    requests,
    resharing,
    sharing_proposals,
    signing,
    succession,
)
from tests.malice.verdicts import Attack, Verdict

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "malice.md"
SCHEMES: Final = (Scheme.TAPROOT, Scheme.ED25519)

Attacks = Callable[[World, Scheme], Sequence[Attack]]

GROUPS: Final[Mapping[str, tuple[Attacks, tuple[str, ...]]]] = {
    "proposals": (keygen.of_proposals, ("PROPOSAL",)),
    "dealings": (keygen.of_dealings, ("HELLO", "msg1")),
    "channels": (channels.attacks, ("CHANNEL",)),
    "blame": (accusers.attacks, ("BLAME",)),
    "certificates": (keygen.of_certificates, ("round 3", "CERT", "DONE")),
    "requests": (
        requests.attacks,
        ("the wallet, shown to its client", "REQUEST", "the signature, shown to its client"),
    ),
    "signatures": (
        signing.attacks,
        (
            "COMMIT, at the coordinator",
            "SIGN",
            "COMMIT, in a SIGN list",
            "CHANNEL, beside SIGN",
            "PARTIAL",
        ),
    ),
    "agreements to refresh": (succession.of_agreements, ("ASK", "JOIN", "PROPOSE")),
    "dealings of a refresh": (succession.of_dealings, ("DEAL", "CHANNEL, beside DEAL")),
    "orders of a repair": (
        repairing.of_orders,
        (
            "ORDER-REPAIR, to be signed",
            "ORDER-REPAIR, at helpers",
            "ORDER-REPAIR, at the lost holder",
        ),
    ),
    "shares of a share": (
        repairing.of_shares,
        ("R1, at the other helper", "R1, at the lost holder", "R2"),
    ),
    "amendments": (
        amending.of_amendments,
        ("ACK, of a repair", "AMENDMENT, of a repair"),
    ),
    "confirmations of a repair": (amending.of_confirmations, ("DONE, of a repair",)),
    "adoptions": (
        succession.of_adoptions,
        ("ACK", "CERT, of a refresh", "DONE, of a refresh"),
    ),
    "retirements": (
        succession.of_retirements,
        ("RETIRE", "DESTROYED", "CERT, shown to its client", "RETIRE, shown to its client"),
    ),
    "resharings, asked for": (resharing.of_asks, ("ASK, of a resharing",)),
    "resharings, greeted": (resharing.of_greetings, ("HELLO, of a new holder",)),
    "resharings, proposed": (sharing_proposals.of_old_holders, ("PROPOSE, of a resharing",)),
    "resharings, proposed to new holders": (
        sharing_proposals.of_new_holders,
        ("PROPOSE, at new holders",),
    ),
    "resharings, dealt": (resharing.of_dealings, ("DEAL, of a resharing",)),
    "acknowledgements of a resharing": (
        acknowledging.of_sharings,
        ("ACK, of an old holder", "ACK, of a new holder"),
    ),
    "resharings, ended": (
        resharing.of_ends,
        ("CERT, of a resharing", "DONE, of a new holder", "RETIRE, of a resharing"),
    ),
    "orders": (ordering.attacks, ("ORDER, to be signed", "ORDER, in RETIRE")),
    "rotations": (deciding.of_rotations, ("ROTATE", "ROTATE, in an AMENDMENT", "AMENDED")),
    "ends": (deciding.of_ends, ("DESTROY", "DESTROYED, of a wallet")),
}
"""What is attacked together, with the messages that it is about. Each is a test."""

INTRODUCTION: Final = """\
# Attacks

Each attack is one thing that somebody does to one message of a key generation, a signature or a
succession of three real holders, 2-of-3, on SoftHSM2 tokens. `tests/malice` runs all of them with
both schemes and writes this page: `.venv/bin/python -m tests.malice`. A test compares: what is
refused by another check, or blames somebody else, is seen as a difference of this page before it is
committed.

- **Who lies.** The relay changes, drops and exchanges what others signed, and signs nothing. A
  dealer, signer or accuser is holder h2 with all its keys; the coordinator and the client sign what
  they like. Everybody else is honest.
- **Refused by** names who refuses, and the function of `hsm_mpc` that does.
- **Kind and rule** is what they say; `NAME` and … stand for what is another each time.
- **Blamed** is who is named as a culprit.
- Where nobody refuses, it is said why nobody has to.

With every attack it is checked that no honest holder is blamed, and no liar without messages that
prove it and are kept; that a key generation which was aborted before its share was sealed leaves no
key, register, share or session; that no wallet is active where an earlier round was refused; that
what was nobody's fault costs nothing: the same key generation goes on to its end; that a refused
request opens no nonce; and that signing loses no slot of protected memory. Fields that fare alike
share a row. A row without a scheme is of both.

The messages of a succession are judged by each who receives them, one by one. Whoever refuses has
the same files, registers, keys and free protected memory as before; and of each kind of message it
is checked that after all this everybody takes the honest one, and the succession goes to its end.
Who is called h1' is h1 as a new holder of a resharing: what it refuses of the dealings ends its
part in that attempt, and it says HELLO' in the next.
"""


def attacked(module: Module, pins: Arena, folder: Path, group: str) -> str:
    """The sections of one group."""
    attacks, messages = GROUPS[group]
    found: dict[Scheme, Sequence[Attack]] = {}
    for scheme in SCHEMES:
        place = folder / f"{group}-{scheme.name}"
        place.mkdir()
        with World.made(module, pins, place, 3) as world:
            found[scheme] = attacks(world, scheme)
    assert {each.message for every in found.values() for each in every} == set(messages)
    return "".join(_section(message, found) for message in messages)


def sections_of(page: str, group: str) -> str:
    """What the page says of one group."""
    parts = page.split("\n## ")[1:]
    _, messages = GROUPS[group]
    return "".join(f"\n## {part}" for part in parts if part.partition("\n")[0] in messages)


def headings(page: str) -> list[str]:
    return [part.partition("\n")[0] for part in page.split("\n## ")[1:]]


def _section(message: str, found: Mapping[Scheme, Sequence[Attack]]) -> str:
    attacks = {
        scheme: [each for each in every if each.message == message]
        for scheme, every in found.items()
    }
    counts = ", ".join(f"{len(every)} ({scheme.name.lower()})" for scheme, every in attacks.items())
    lines = [
        f"\n## {message}\n",
        f"Attacks: {counts}.\n",
        "| attack | who lies | refused by | kind and rule | blamed |",
        "|---|---|---|---|---|",
        *_rows(attacks),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _rows(attacks: Mapping[Scheme, Sequence[Attack]]) -> list[str]:
    """One for all that fare alike, in the order of the first of them."""
    fates: dict[tuple[str, str, str], dict[str, list[str]]] = {}
    for scheme, every in attacks.items():
        for each in every:
            cells = _cells(each)
            of_attack = fates.setdefault((each.how, each.liar, each.what), {})
            of_attack.setdefault(cells, []).append(scheme.name.lower())
    rows: dict[tuple[str, str, str], list[str]] = {}
    for (how, liar, what), of_attack in fates.items():
        for cells, schemes in of_attack.items():
            only = "" if len(schemes) == len(SCHEMES) else f" ({', '.join(schemes)})"
            rows.setdefault((how, liar, cells), []).append(what + only)
    return [
        f"| {_named(names)}: {how} | {liar} | {cells} |"
        for (how, liar, cells), names in rows.items()
    ]


def _named(names: Sequence[str]) -> str:
    """Those of one place behind one another, what they begin with but once."""
    places: list[tuple[str, list[str]]] = []
    for name in names:
        place, found, rest = name.rpartition(": ")
        if not places or places[-1][0] != place + found:
            places.append((place + found, []))
        places[-1][1].append(rest)
    return "; ".join(place + ", ".join(rest) for place, rest in places)


def _cells(attack: Attack) -> str:
    if attack.harmless:
        return f"nobody | {attack.harmless} | nobody"
    judges: dict[tuple[str, str, str], list[str]] = {}
    for verdict in attack.verdicts:
        key = (verdict.check, verdict.said, _blamed(verdict))
        judges.setdefault(key, []).append(verdict.judge)
    by = (
        _judges(names, attack) + (f": `{check}`" if check else "")
        for (check, _, _), names in judges.items()
    )
    said = (said for _, said, _ in judges)
    blamed = (blamed for _, _, blamed in judges)
    return " | ".join("<br>".join(lines) for lines in (by, said, blamed))


def _judges(names: Sequence[str], attack: Attack) -> str:
    honest = ["h1", "h3"] if attack.liar.endswith("h2") else ["h1", "h2", "h3"]
    return "every honest holder" if names == honest else ", ".join(names)


def _blamed(verdict: Verdict) -> str:
    names = ", ".join(f"h{index}" for index in verdict.blamed)
    return f"{names}, with evidence" if names else "nobody"


def whole(sections: Iterable[str]) -> str:
    return INTRODUCTION + "".join(sections)
