"""Splitter policies: how a source is shared over its partitions."""
