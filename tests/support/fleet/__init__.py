"""A fleet in one process on a clock that jumps: production nodes, links that fail, boards that die, devices that outlive them."""
