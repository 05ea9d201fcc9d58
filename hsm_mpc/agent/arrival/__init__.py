"""A new holder's side of a resharing: it gets a share of a key that others have (section 6.8)."""
