"""The taproot wallet layer: keys, addresses, tweaks and signature hashes, all of public values."""
