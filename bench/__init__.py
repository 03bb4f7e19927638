"""Measurements behind `make bench`: every row states its goal and what it is compared with."""
