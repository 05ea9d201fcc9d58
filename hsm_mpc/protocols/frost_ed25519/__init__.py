"""Threshold Ed25519 signatures: RFC 9591 FROST (docs/protocols/signing-ed25519.md).

    signers.py    who signs with which public shares          4.1, 1.6.6
    nonces.py     nonces: drawn in place, public              4.3.1, 4.5
    session.py    the values that all signers share           4.3.2 to 4.3.4
    partial.py    one partial signature: made, verified       4.3.5, 4.3.6, 4.6
    lists.py      a holder's two answers, and its checks      4.4
    aggregate.py  partial signatures to one signature         4.3.7, 3.5

Everything but two slots is public: the nonces d ‖ e of a lease and the share x. They are `Secret`s,
changed in place. Whoever hands one over for signing finds it wiped.
"""
