"""A holder's side of a succession: votes in its HSM, shares on its disk (section 6)."""
