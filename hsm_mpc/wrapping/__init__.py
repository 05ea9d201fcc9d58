"""Keys that cannot leave their device wrap data keys: one backend per file behind one interface."""
