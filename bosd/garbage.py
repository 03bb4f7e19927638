"""Collections of garbage, which stop the loop while they look."""

import gc


def spare_collections() -> None:
    """Leave what is there at the start out of garbage collections: each that looked at it stopped the loop for 0.1 s and more."""
    gc.collect()
    gc.freeze()
