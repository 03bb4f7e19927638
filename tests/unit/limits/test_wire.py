"""The contract of the external EEBUS service: our .proto files against its tables (eebus.md 1.1 to 1.5), and real bytes."""

from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor

from bosd.limits.pb import (
    common_types_pb2,
    control_service_messages_pb2,
    control_service_pb2,
    control_service_types_pb2,
    cs_lpc_pb2,
)
from tests.support.eebus_tables import CONTROL, CONTROL_SERVICE, LPC, LPC_SERVICE, MESSAGES, message_class

FILES: tuple[Any, ...] = (common_types_pb2, control_service_messages_pb2, control_service_types_pb2, cs_lpc_pb2)
_WORDS = {
    FieldDescriptor.TYPE_INT64: "int64",
    FieldDescriptor.TYPE_UINT32: "uint32",
    FieldDescriptor.TYPE_UINT64: "uint64",
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_DOUBLE: "double",
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_ENUM: "int32",  # the same on the wire
}
TYPES = control_service_types_pb2


def messages() -> dict[str, Any]:
    """Return our messages by full name."""
    return {each.full_name: each for file in FILES for each in file.DESCRIPTOR.message_types_by_name.values()}


def words(field: Any) -> str:
    """Return a field as the tables have it."""
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        assert kind.fields_by_name["key"].type == FieldDescriptor.TYPE_UINT64
        return f"{field.number} {field.name} map {kind.fields_by_name['value'].message_type.full_name}"
    name = kind.full_name if kind is not None else _WORDS[field.type]
    return f"{field.number} {field.name} {'repeated ' if field.is_repeated else ''}{name}"


@pytest.mark.parametrize("name", MESSAGES)
def test_every_message_of_the_tables_is_ours(name: str) -> None:
    """Numbers, names and types."""
    ours = messages()[name]
    assert ", ".join(words(field) for field in ours.fields) == MESSAGES[name]


def test_no_message_is_ours_alone() -> None:
    """The wrappers of enumerations aside, which are in no message of the tables."""
    wrappers = {name for name, each in messages().items() if each.enum_types and not each.fields}
    assert messages().keys() - wrappers == MESSAGES.keys()
    assert wrappers == {f"control_service.{name}" for name in ("DeviceCategory", "DeviceType", "EntityType")}


def test_the_services_have_the_methods_of_the_tables() -> None:
    """Package, service and method make the path; requests, responses and streams are those of 1.2 and 1.5."""
    control = control_service_pb2.DESCRIPTOR.services_by_name["ControlService"]
    assert control.full_name == CONTROL_SERVICE
    found = {each.name: (each.input_type.name, each.output_type.name) for each in control.methods}
    assert found == CONTROL
    streams = {each.name for each in control.methods if each.server_streaming}
    assert streams == {"SubscribeUseCaseEvents", "SubscribeDiscoveryEvents"}
    lpc = cs_lpc_pb2.DESCRIPTOR.services_by_name["ControllableSystemLPCControl"]
    assert lpc.full_name == LPC_SERVICE
    assert [(each.name, each.input_type.name, each.output_type.name) for each in lpc.methods] == [
        (name, f"{name}Request", f"{name}Response") for name in LPC
    ]


def test_enumerations() -> None:
    """1.4: how many values each has, the last one's number, and those that are used."""
    sizes = {
        "DeviceCategory": (8, "METERING", 7),
        "DeviceType": (15, "CHARGING_STATION", 14),
        "EntityType": (49, "ControllableSystem", 48),
    }
    for name, (size, last, number) in sizes.items():
        values = getattr(TYPES, name).DESCRIPTOR.enum_types_by_name["Enum"].values
        assert (len(values), values[-1].name, values[-1].number) == (size, last, number)
        assert [value.number for value in values] == list(range(size))
    actor = TYPES.UseCase.ActorType.DESCRIPTOR.enum_types_by_name["Enum"].values_by_name
    named = TYPES.UseCase.NameType.DESCRIPTOR.enum_types_by_name["Enum"].values_by_name
    assert (len(actor), actor["ControllableSystem"].number) == (26, 6)
    assert (len(named), named["limitationOfPowerConsumption"].number, named["limitationOfPowerProduction"].number) == (37, 15, 16)
    assert TYPES.DeviceCategory.Enum.Value("INVERTER") == 5
    assert TYPES.DeviceType.Enum.Value("INVERTER") == 13
    assert TYPES.EntityType.Enum.Value("Inverter") == 23
    assert control_service_messages_pb2.DiscoveryEvent.Type.Value("DISCOVERED") == 1


def test_bytes_go_both_ways() -> None:
    """What one side writes the other reads, packed enumerations and the map included."""
    ours = control_service_messages_pb2.SetConfigRequest(
        port=4715, device_categories=["INVERTER", "E_MOBILITY"], device_type="INVERTER", entity_types=["Inverter"]
    )
    theirs = message_class("control_service.SetConfigRequest").FromString(ours.SerializeToString())
    assert (theirs.port, list(theirs.device_categories), theirs.device_type, list(theirs.entity_types)) == (
        4715,
        [5, 3],
        13,
        [23],
    )
    answer = message_class("cs_lpc.PendingConsumptionLimitResponse")()
    answer.load_limits[2**63].value = -1.5
    read = cs_lpc_pb2.PendingConsumptionLimitResponse.FromString(answer.SerializeToString())
    assert {number: limit.value for number, limit in read.load_limits.items()} == {2**63: -1.5}
