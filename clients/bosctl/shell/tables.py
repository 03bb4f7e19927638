"""From the words of `make` to TOML tables, the form in which topologies travel."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

BATTERY_LIMIT_A = 100.0
"""Both ideal limits of a battery made by `make battery`: the language does not give any (bal.md)."""
POLICIES: Mapping[str, str] = {"proportional": "proportional", "tranche": "tranched"}
PORT_FORMS: Mapping[str, str] = {"UART": "{}", "TCP": "tcp://{}", "BLE": "ble://{}"}
PSEUDO_DEFAULTS: Mapping[str, float] = {
    "voltage_v": 0.0,
    "charge_ah": 0.0,
    "capacity_ah": 0.0,
    "max_discharge_current_a": 0.0,
    "max_charge_current_a": 0.0,
}


def null_table(name: str, voltage_v: float) -> str:
    """Return the table of a null battery."""
    return _table("battery", name=name, kind="null", voltage_v=voltage_v)


def jbd_table(name: str, interface: str, address: str) -> str:
    """Return the table of a pack behind a JBD BMS."""
    return _table(
        "battery",
        name=name,
        kind="jbd",
        port=PORT_FORMS[interface].format(address),
        current_control="none",
        max_discharge_current_a=BATTERY_LIMIT_A,
        max_charge_current_a=BATTERY_LIMIT_A,
    )


def pseudo_table(name: str, values: Mapping[str, float]) -> str:
    """Return the table of a pseudo battery; what is not given is 0, a current is no part of it."""
    known = {key: value for key, value in values.items() if key in PSEUDO_DEFAULTS}
    return _table("battery", name=name, kind="pseudo", **{**PSEUDO_DEFAULTS, **known})


def aggregator_table(name: str, sources: Sequence[str], voltage_v: float, tolerance_v: float) -> str:
    """Return the table of an aggregator."""
    return _table(
        "battery",
        name=name,
        kind="aggregator",
        sources=list(sources),
        voltage_v=voltage_v,
        voltage_tolerance_v=tolerance_v,
    )


def splitter_table(name: str, policy: str, source: str, first: str) -> str:
    """Return the table of a splitter whose first partition holds everything."""
    partition = f"{{ name = {_value(first)}, fraction = 1.0 }}"
    return _table("splitter", name=name, policy=POLICIES[policy], source=source) + f"partitions = [{partition}]\n"


def network_table(name: str, remote_name: str, host: str, port: int) -> str:
    """Return the table of a stub."""
    shown = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return _table("battery", name=name, kind="network", target=f"{shown}:{port}", remote_name=remote_name)


def _table(head: str, **keys: object) -> str:
    return f"[[{head}]]\n" + "".join(f"{key} = {_value(value)}\n" for key, value in keys.items())


def _value(value: Any) -> str:  # noqa: ANN401 (what TOML holds)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
