"""PKCS#11: module, token, keys, and the direct path from an HSM into protected memory."""
