"""Drivers: devices behind the core's device port."""
