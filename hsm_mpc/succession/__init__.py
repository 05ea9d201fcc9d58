"""How an epoch gets its successor: the messages of section 6.3, and what proves a succession."""
