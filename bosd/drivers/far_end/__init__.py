"""The far end of a line, for simulators and replayed captures: a pseudo-terminal, TCP or memory, each at the line's pace."""
