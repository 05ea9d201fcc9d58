"""A complaint about what one dealer sealed for us, and whether it is true (steps 6.4.8 and 6.7.6).

The same in a refresh, a resharing and among the helpers of a repair. What of a dealing is public
has been looked at before: nothing is revealed where that is proof enough.
"""

from __future__ import annotations

from typing import Protocol

from hsm_mpc.errors import BadInput
from hsm_mpc.groups.sharing import DrawScalars
from hsm_mpc.protocols.complaint import Complaint, complain, is_true
from hsm_mpc.protocols.dealing import Dealing, Session
from hsm_mpc.protocols.dealing_checks import share_in
from hsm_mpc.protocols.rounds import Faults
from hsm_mpc.secure.arena import Arena, Secret


class NamedSession(Session, Protocol):
    """A session that complaints name."""

    @property
    def session(self) -> bytes:
        """sid, 32 bytes."""


def complain_of_dealing(
    setup: NamedSession,
    me: int,
    own: Secret,
    dealer: int,
    dealing: Dealing,
    public: Faults,
    draw: DrawScalars,
) -> Complaint:
    """The proof that `dealer` sealed a false share for receiver `me`.

    Args:
        own: the secret of the key of `me`, which the caller has made sure of.
        dealing: as the dealer signed it.
        public: what anybody finds in it.
        draw: the nonce of the proof.

    Raises:
        BadInput: there is nothing to complain of, or the signed dealing is proof enough.
        ProtocolAbort: a value is degenerate; no culprit.
    """
    if dealer in public:
        raise BadInput(f"what holder {dealer} signed is proof enough")
    return complain(setup.session, dealer, share_in(setup, me, dealer, dealing), own, draw)


def is_true_of_dealing(
    setup: NamedSession, accuser: int, complaint: Complaint, dealing: Dealing, arena: Arena
) -> bool:
    """Whether the accused dealer lied, else its accuser did. Everybody comes to the same answer.

    Args:
        accuser: the receiver whose complaint it is.
        dealing: as the accused dealer signed it.
        arena: where the ciphertext is opened.
    """
    share = share_in(setup, accuser, complaint.accused, dealing)
    return is_true(setup.session, share, complaint, arena)
