"""Who asks for wallets and signatures. Believes the roster that it pinned, and nobody's word."""
