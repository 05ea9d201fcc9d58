"""Whether this holder takes part in making a wallet at all (steps 2.6.1 and 1.6.7)."""

from __future__ import annotations

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.consents import Consents
from hsm_mpc.agent.wallets import policy_hash
from hsm_mpc.certificates.plan import Plan
from hsm_mpc.certificates.proposal import Proposal
from hsm_mpc.errors import BadConfig, Refused
from hsm_mpc.policy.rules import LARGEST_FILE
from hsm_mpc.roster import refuse_lab_mark_outside


def admit(holder: ActingHolder, consents: Consents, proposal: Proposal, policy_file: bytes) -> None:
    """Every check of a proposal against the own configuration; its name is checked elsewhere.

    A holder of a lab-marked roster consents by itself, to clients of its own configuration only,
    unless its configuration says that its operator is asked.

    Raises:
        Refused: `roster-not-pinned`, `not-a-member`, `lab-mark`, `policy-unknown`, `deadline`,
            `consent` or `unknown-client`.
    """
    proposal.check_roster(holder.identity.key, holder.roster)
    refuse_lab_mark_outside(proposal.roster.lab, in_lab=holder.lab, what="the proposal's roster")
    _check_policy(holder, proposal, policy_file)
    if proposal.deadline < holder.clock():
        raise Refused("deadline", "the proposal's deadline has passed")
    if proposal.roster.lab and not holder.asks_operator:
        proposal.check_lab_clients(holder.clients)
    else:
        consents.require(Plan.of(proposal), policy_file)


def _check_policy(holder: ActingHolder, proposal: Proposal, policy_file: bytes) -> None:
    if len(policy_file) > LARGEST_FILE or policy_hash(policy_file) != proposal.policy_hash:
        raise Refused("policy-unknown", "the policy file is not the one that the proposal names")
    try:
        holder.parse_policy(policy_file)
    except BadConfig as unreadable:
        raise Refused("policy-unknown", f"{unreadable}") from unreadable
