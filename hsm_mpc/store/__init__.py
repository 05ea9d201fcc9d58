"""What a holder keeps on disk: one writer, and after a crash the old state or the new."""
