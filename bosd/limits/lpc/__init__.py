"""EEBUS limitation of power: the controllable system's state machine, and the client of the external service it listens to."""
