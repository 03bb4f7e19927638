"""Generated from proto/bosd/limits/pb: the contract of the external EEBUS service."""
