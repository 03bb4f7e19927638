"""Riden RD60xx bench supplies as regulators: they charge a battery, over Modbus RTU."""
