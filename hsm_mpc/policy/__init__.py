"""What a holder lets through: pure, from a request's bytes and a certified policy."""
