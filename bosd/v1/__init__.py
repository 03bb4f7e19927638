"""Generated from proto/bosd/v1; see `make proto`."""
