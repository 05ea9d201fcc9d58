"""Whom a client hears blamed: whoever is meant, whichever roster they were counted in."""

from __future__ import annotations

from hsm_mpc.coordinator.blame import NamedAbort, named_in, told
from hsm_mpc.errors import ProtocolAbort, Refused
from tests.coordinator.test_links import ROSTER


def test_a_client_is_told_places_in_its_own_roster() -> None:
    some = ROSTER.among(["h2", "h3"])
    abort = told(NamedAbort("they cheated", named_in(some, [1, 2])), ROSTER)
    assert isinstance(abort, ProtocolAbort)
    assert (str(abort), abort.culprits) == ("they cheated", (2, 3))
    assert not isinstance(abort, NamedAbort)


def test_indices_of_an_unknown_roster_name_nobody() -> None:
    abort = told(ProtocolAbort("they cheated", [1, 2]), ROSTER)
    assert isinstance(abort, ProtocolAbort)
    assert (str(abort), abort.culprits) == ("they cheated", ())


def test_who_is_in_no_roster_is_not_named() -> None:
    assert named_in(ROSTER, [0, 3, 4]) == ["h3"]
    abort = told(NamedAbort("it cheated", ["h3", "h9"]), ROSTER)
    assert isinstance(abort, ProtocolAbort)
    assert abort.culprits == (3,)


def test_an_abort_names_its_culprits_to_a_script_by_name() -> None:
    assert NamedAbort("they cheated", ["h3", "h1", "h3"]).facts() == {"culprits": ["h1", "h3"]}
    assert NamedAbort("nobody did").facts() == {}


def test_what_is_no_abort_is_told_as_it_is() -> None:
    refused = Refused("declined", "no")
    assert told(refused, ROSTER) is refused
