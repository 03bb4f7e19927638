"""Programs that talk to nodes."""
