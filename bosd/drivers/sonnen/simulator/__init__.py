"""A simulated Sonnen battery behind real HTTP: `bosd sim sonnen`."""
