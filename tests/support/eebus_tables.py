"""The external EEBUS service's wire, written down from the tables of eebus.md 1.1 to 1.5, apart from the project's .proto files.

Enumerations are plain int32 here: on the wire they are the same.
"""

from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_LIMIT, _ENTITY = "common_types.LoadLimit", "common_types.EntityAddress"
_USE_CASE = "control_service.UseCase"
MESSAGES: dict[str, str] = {
    _LIMIT: "1 duration_nanoseconds int64, 2 is_changeable bool, 3 is_active bool, 4 value double, 5 delete_duration bool",
    _ENTITY: "1 entity_address repeated uint32",
    _USE_CASE: "1 actor int32, 2 name int32",
    "control_service.UseCaseEvent": f"1 use_case {_USE_CASE}, 2 event string",
    "control_service.EmptyRequest": "",
    "control_service.EmptyResponse": "",
    "control_service.SetConfigRequest": (
        "1 port uint32, 2 vendor_code string, 3 device_brand string, 4 device_model string, 5 serial_number string, "
        "6 device_categories repeated int32, 7 device_type int32, 8 entity_types repeated int32, "
        "9 heartbeat_timeout_seconds uint32"
    ),
    "control_service.AddEntityRequest": f"1 type int32, 2 address {_ENTITY}",
    "control_service.RemoveEntityRequest": f"1 address {_ENTITY}",
    "control_service.AddUseCaseRequest": f"1 entity_address {_ENTITY}, 2 use_case {_USE_CASE}",
    "control_service.AddUseCaseResponse": "1 endpoint string",
    "control_service.RegisterRemoteSkiRequest": "1 remote_ski string",
    "control_service.SubscribeUseCaseEventsRequest": f"1 entity_address {_ENTITY}, 2 use_case {_USE_CASE}",
    "control_service.SubscribeUseCaseEventsResponse": (
        f"1 remote_ski string, 2 remote_entity_address {_ENTITY}, 3 use_case_event control_service.UseCaseEvent"
    ),
    "control_service.SubscribeDiscoveryEventsRequest": "",
    "control_service.DiscoveryEvent": (
        "1 type int32, 2 remote_ski string, 3 ship_identifier string, 4 brand string, 5 model string, 6 device_type string, "
        "7 serial string, 8 is_trusted bool"
    ),
    "cs_lpc.ConsumptionLimitRequest": "",
    "cs_lpc.ConsumptionLimitResponse": f"1 load_limit {_LIMIT}",
    "cs_lpc.SetConsumptionLimitRequest": f"1 load_limit {_LIMIT}",
    "cs_lpc.SetConsumptionLimitResponse": "",
    "cs_lpc.PendingConsumptionLimitRequest": "",
    "cs_lpc.PendingConsumptionLimitResponse": f"1 load_limits map {_LIMIT}",
    "cs_lpc.ApproveOrDenyConsumptionLimitRequest": "1 msg_counter uint64, 2 approve bool, 3 reason string",
    "cs_lpc.ApproveOrDenyConsumptionLimitResponse": "",
    "cs_lpc.FailsafeConsumptionActivePowerLimitRequest": "",
    "cs_lpc.FailsafeConsumptionActivePowerLimitResponse": "1 limit double, 2 is_changeable bool",
    "cs_lpc.SetFailsafeConsumptionActivePowerLimitRequest": "1 value double, 2 is_changeable bool",
    "cs_lpc.SetFailsafeConsumptionActivePowerLimitResponse": "",
    "cs_lpc.FailsafeDurationMinimumRequest": "",
    "cs_lpc.FailsafeDurationMinimumResponse": "1 duration_nanoseconds int64, 2 is_changeable bool",
    "cs_lpc.SetFailsafeDurationMinimumRequest": "1 duration_nanoseconds int64, 2 is_changeable bool",
    "cs_lpc.SetFailsafeDurationMinimumResponse": "",
    "cs_lpc.StartHeartbeatRequest": "",
    "cs_lpc.StartHeartbeatResponse": "",
    "cs_lpc.StopHeartbeatRequest": "",
    "cs_lpc.StopHeartbeatResponse": "",
    "cs_lpc.IsHeartbeatWithinDurationRequest": "",
    "cs_lpc.IsHeartbeatWithinDurationResponse": "1 is_within_duration bool",
    "cs_lpc.ConsumptionNominalMaxRequest": "",
    "cs_lpc.ConsumptionNominalMaxResponse": "1 value double",
    "cs_lpc.SetConsumptionNominalMaxRequest": "1 value double",
    "cs_lpc.SetConsumptionNominalMaxResponse": "",
}
"""By full name: number, name and type of each field; `map` is one from uint64."""
_EMPTY = ("EmptyRequest", "EmptyResponse")
CONTROL: dict[str, tuple[str, str]] = {
    "StartService": _EMPTY,
    "StopService": _EMPTY,
    "SetConfig": ("SetConfigRequest", "EmptyResponse"),
    "StartSetup": _EMPTY,
    "AddEntity": ("AddEntityRequest", "EmptyResponse"),
    "RemoveEntity": ("RemoveEntityRequest", "EmptyResponse"),
    "RegisterRemoteSki": ("RegisterRemoteSkiRequest", "EmptyResponse"),
    "AddUseCase": ("AddUseCaseRequest", "AddUseCaseResponse"),
    "SubscribeUseCaseEvents": ("SubscribeUseCaseEventsRequest", "SubscribeUseCaseEventsResponse"),
    "SubscribeDiscoveryEvents": ("SubscribeDiscoveryEventsRequest", "DiscoveryEvent"),
    "ResetService": _EMPTY,
}
"""Methods of control_service.ControlService: request and response."""
LPC: tuple[str, ...] = (
    "ConsumptionLimit",
    "SetConsumptionLimit",
    "PendingConsumptionLimit",
    "ApproveOrDenyConsumptionLimit",
    "FailsafeConsumptionActivePowerLimit",
    "SetFailsafeConsumptionActivePowerLimit",
    "FailsafeDurationMinimum",
    "SetFailsafeDurationMinimum",
    "StartHeartbeat",
    "StopHeartbeat",
    "IsHeartbeatWithinDuration",
    "ConsumptionNominalMax",
    "SetConsumptionNominalMax",
)
"""Methods of cs_lpc.ControllableSystemLPCControl; requests and responses have their names."""
CONTROL_SERVICE, LPC_SERVICE = "control_service.ControlService", "cs_lpc.ControllableSystemLPCControl"

_F = descriptor_pb2.FieldDescriptorProto
_TYPES = {
    "int64": _F.TYPE_INT64,
    "int32": _F.TYPE_INT32,
    "uint32": _F.TYPE_UINT32,
    "uint64": _F.TYPE_UINT64,
    "bool": _F.TYPE_BOOL,
    "double": _F.TYPE_DOUBLE,
    "string": _F.TYPE_STRING,
}


@cache
def _pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    files: dict[str, Any] = {}
    for full_name, fields in MESSAGES.items():
        package, _, name = full_name.rpartition(".")
        if package not in files:
            files[package] = descriptor_pb2.FileDescriptorProto(name=f"tables/{package}.proto", package=package, syntax="proto3")
            files[package].dependency.extend(f"tables/{other}.proto" for other in files if other != package)
        message = files[package].message_type.add(name=name)
        for text in filter(None, fields.split(", ")):
            _add_field(message, full_name, text.split())
    for file in files.values():
        pool.Add(file)
    return pool


def _add_field(message: Any, full_name: str, words: list[str]) -> None:
    number, name, *rest = words
    field = message.field.add(name=name, number=int(number), label=_F.LABEL_OPTIONAL)
    kind = rest[-1]
    if rest[0] in {"repeated", "map"}:
        field.label = _F.LABEL_REPEATED
    if rest[0] == "map":
        entry = message.nested_type.add(name="LoadLimitsEntry")
        entry.options.map_entry = True
        entry.field.add(name="key", number=1, label=_F.LABEL_OPTIONAL, type=_F.TYPE_UINT64)
        entry.field.add(name="value", number=2, label=_F.LABEL_OPTIONAL, type=_F.TYPE_MESSAGE, type_name=f".{kind}")
        kind = f"{full_name}.LoadLimitsEntry"
    if kind in _TYPES:
        field.type = _TYPES[kind]
    else:
        field.type, field.type_name = _F.TYPE_MESSAGE, f".{kind}"


@cache
def message_class(full_name: str) -> Any:
    """Return the class of a message of the tables."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(full_name))
