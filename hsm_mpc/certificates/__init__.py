"""The certified state of a wallet, and what leads to it: holders and clients check it alike.

Everything here is public. Nothing reads a clock, a file or a network; times are arguments.
"""
