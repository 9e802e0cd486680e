"""The collector database, as far as promises read it."""
