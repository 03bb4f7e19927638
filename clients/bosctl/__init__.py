"""The operator's command line."""

import os

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # gRPC writes to stderr past every error; it reads this when loaded
