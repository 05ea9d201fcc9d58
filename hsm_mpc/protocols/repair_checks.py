"""What is checked of the messages of a repair, and who is named for what (steps 6.7.4 and 6.7.5).

The `blame…` functions add to `faults`; whoever calls them raises once, when all of them have run.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from functools import partial

from hsm_mpc.errors import InvalidSignature
from hsm_mpc.protocols.dealing_checks import (
    blame_opened,
    blame_unproven,
    parsed,
    require_one_of_each,
)
from hsm_mpc.protocols.delivered import Delivered
from hsm_mpc.protocols.pads import Route
from hsm_mpc.protocols.repair_messages import RepairSetup, Split, Summed, verify_summed
from hsm_mpc.protocols.rounds import Faults
from hsm_mpc.tags import Tag, tagged_hash


@dataclass(frozen=True, slots=True)
class Splits:
    """R1 of all helpers, sound as far as the public sees. `verify` makes it."""

    setup: RepairSetup
    messages: Mapping[int, Split]
    digest: bytes
    """TH("…/repair-deltas", sid ‖ R1_i for i ∈ H), 32 bytes: of what sums are sums (step 6.7.5)."""

    @classmethod
    def of(cls, setup: RepairSetup, messages: Mapping[int, Split]) -> Splits:
        """Of checked messages of all helpers. All lengths in the digest follow from `setup`."""
        written = b"".join(messages[i].to_bytes() for i in setup.helpers)
        digest = tagged_hash(Tag.REPAIR_DELTAS, setup.session + written)
        return cls(setup, messages, digest)

    def sum_for(self, helper: int) -> bytes | None:
        """σ_helper·B = Σ_i D_{i,helper}; None is the identity, which no σ gives."""
        place = self.setup.helpers.index(helper)
        return self.setup.suite.group.combine(
            split.commitments[place] for split in self.messages.values()
        )


def verify(setup: RepairSetup, received: Mapping[int, bytes]) -> Splits:
    """R1 of all helpers, as anybody can check it (step 6.7.4).

    Raises:
        BadInput: `received` is not one message of each helper.
        ProtocolAbort: naming every helper whose message is bad.
    """
    require_one_of_each(received, setup.helpers)
    faults = Faults()
    splits = parsed_splits(setup, received, {}, faults)
    faults.raise_if_any()
    return Splits.of(setup, splits)


def parsed_splits(
    setup: RepairSetup, received: Mapping[int, bytes], known: Mapping[int, Split], faults: Faults
) -> dict[int, Split]:
    """What parses, in index order, checked as anybody can; `known` we made ourselves."""
    splits = parsed(partial(Split.from_bytes, session=setup), received, known, faults)
    blame_unsound(setup, splits, known, faults)
    return splits


def blame_unsound(
    setup: RepairSetup, splits: Mapping[int, Split], known: Container[int], faults: Faults
) -> None:
    """Proofs of possession, and that deltas add up to what a helper owes (step 6.7.4)."""
    blame_unproven(setup, splits, known, faults)
    for i, split in splits.items():
        if i not in known and not adds_up(setup, i, split):
            faults.blame(i, "the deltas do not add up to its part of the lost share")


def adds_up(setup: RepairSetup, helper: int, split: Split) -> bool:
    """Whether Σ_k D_{i,k} = λ_i(H; r)·A(i), of i = `helper` (step 6.7.4)."""
    group = setup.suite.group
    owed = group.multiply(setup.public_share(helper), setup.factor(helper))
    return group.combine(split.commitments) == owed


def parsed_sums(splits: Splits, received: Mapping[int, bytes], faults: Faults) -> dict[int, Summed]:
    """R2 of all helpers: what parses, in index order, with its proofs of possession checked."""
    setup = splits.setup
    sums = parsed(partial(Summed.from_bytes, setup=setup), received, {}, faults)
    for k, summed in sums.items():
        try:
            verify_summed(setup, k, summed)
        except InvalidSignature:
            faults.blame(k, "the proof of possession does not verify")
    return sums


def route_of_sum(setup: RepairSetup, helper: int, ephemeral: bytes) -> Route:
    """From `helper` to r, under E' = `ephemeral`."""
    return Route(ephemeral, setup.key_of(helper), setup.key_of(setup.lost))


def sum_in(splits: Splits, helper: int, summed: Summed) -> Delivered:
    """σ of `helper` in its R2: of it r may complain, if it is of our `splits`."""

    def is_sound(opened: bool, share: int) -> bool:
        faults = Faults()
        blame_sum(splits, helper, summed, opened, share, faults)
        return helper not in faults

    setup, route = splits.setup, route_of_sum(splits.setup, helper, summed.ephemeral)
    return Delivered(setup.suite, setup.context, route, summed.sealed, is_sound)


def blame_sum(
    splits: Splits, helper: int, summed: Summed, opened: bool, share: int, faults: Faults
) -> None:
    """Name `helper` if its σ is not the sum of what was committed to (step 6.7.5).

    Where it added up other messages than ours only what holds for any messages is checked.

    Args:
        share: the address of what was opened.
    """
    group = splits.setup.suite.group

    def is_committed() -> bool:
        ours = summed.digest == splits.digest
        return not ours or group.public_point_at(share) == splits.sum_for(helper)

    blame_opened(group, helper, opened, share, is_committed, faults)
