"""Durable state: topology revisions, stop latches and meter checkpoints."""
