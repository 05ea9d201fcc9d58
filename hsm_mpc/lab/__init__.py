"""A laboratory on one machine: holders on SoftHSM2, which is no HSM. Not for funds."""
