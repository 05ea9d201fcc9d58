"""Threshold-signature wallets whose shares only an HSM can open."""
