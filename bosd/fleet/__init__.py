"""Nodes that act as one: sessions between them."""
