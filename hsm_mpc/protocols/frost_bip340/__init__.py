"""Threshold BIP 340 signatures on secp256k1: BIP 445 (docs/protocols/signing.md section 3).

    signers.py    who signs with which public shares          3.1.1
    tweaks.py     the key that the signature is for           3.1.2
    nonces.py     nonces: drawn in place, public, aggregated  3.1.3, 3.1.4, 3.3
    session.py    the values that all signers share           3.1.5
    partial.py    one partial signature: made, verified       3.1.6, 3.1.7, 3.4.11 to 3.4.13
    lists.py      what a signer checks of a SIGN list         3.4.1 to 3.4.10
    aggregate.py  partial signatures to one signature         3.1.8, 3.5

Everything but two slots is public: the nonce pair k_1 ‖ k_2 of a lease and the share d. They are
`Secret`s, changed in place. Whoever hands one over for signing finds it wiped.
"""
