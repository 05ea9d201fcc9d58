"""Protected memory, process hardening, and the by-pointer faces of libsodium and libcrypto."""
