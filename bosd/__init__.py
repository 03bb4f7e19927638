"""The operating system for batteries."""

import os

__version__ = "0.1.0"

# libuv's loop starts programs with fork(), and gRPC's handlers of a fork (meant for children that go on without execve) took the
# daemon down with a segmentation fault, one start in twenty (grpcio 1.85.1; github.com/grpc/grpc/issues/43055). gRPC reads this
# when it is imported.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
