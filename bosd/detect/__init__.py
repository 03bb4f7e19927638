"""`bosd detect`: which devices are here, on which ports, and a configuration to begin with."""
