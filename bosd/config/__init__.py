"""Configuration and topology files: TOML in, immutable values out, every fault named with its place."""

from bosd.config.settings import Config, NodeConfig, StoreConfig, load_config, parse_config
from bosd.config.topology_toml import format_topology, parse_edit, parse_topology
from bosd.config.warnings import hook_warnings, warnings

__all__ = [
    "Config",
    "NodeConfig",
    "StoreConfig",
    "format_topology",
    "hook_warnings",
    "load_config",
    "parse_config",
    "parse_edit",
    "parse_topology",
    "warnings",
]
