"""What drives the engine: one process (embedded)."""
