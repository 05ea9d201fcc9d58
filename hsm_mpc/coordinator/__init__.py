"""Ceremonies and quorums, seen from the relay: no secret, and nothing that can reach one."""
