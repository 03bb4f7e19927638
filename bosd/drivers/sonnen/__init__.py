"""Sonnen home batteries by their local HTTP API v2."""
