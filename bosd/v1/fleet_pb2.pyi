from bosd.v1 import battery_pb2 as _battery_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SystemState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SYSTEM_STATE_UNSPECIFIED: _ClassVar[SystemState]
    SYSTEM_STATE_STARTING: _ClassVar[SystemState]
    SYSTEM_STATE_OK: _ClassVar[SystemState]
    SYSTEM_STATE_DEGRADED: _ClassVar[SystemState]
    SYSTEM_STATE_BLOCKED: _ClassVar[SystemState]
SYSTEM_STATE_UNSPECIFIED: SystemState
SYSTEM_STATE_STARTING: SystemState
SYSTEM_STATE_OK: SystemState
SYSTEM_STATE_DEGRADED: SystemState
SYSTEM_STATE_BLOCKED: SystemState

class DescribeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class NodeFacts(_message.Message):
    __slots__ = ("node", "boot_id", "version", "protocol", "sent_at", "clock_doubt", "uptime_s", "certificate_days_left", "batteries", "errors", "config_digest", "parted", "worst_lag_s")
    NODE_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    SENT_AT_FIELD_NUMBER: _ClassVar[int]
    CLOCK_DOUBT_FIELD_NUMBER: _ClassVar[int]
    UPTIME_S_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_DAYS_LEFT_FIELD_NUMBER: _ClassVar[int]
    BATTERIES_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    CONFIG_DIGEST_FIELD_NUMBER: _ClassVar[int]
    PARTED_FIELD_NUMBER: _ClassVar[int]
    WORST_LAG_S_FIELD_NUMBER: _ClassVar[int]
    node: str
    boot_id: str
    version: str
    protocol: int
    sent_at: float
    clock_doubt: str
    uptime_s: float
    certificate_days_left: float
    batteries: int
    errors: int
    config_digest: str
    parted: str
    worst_lag_s: float
    def __init__(self, node: _Optional[str] = ..., boot_id: _Optional[str] = ..., version: _Optional[str] = ..., protocol: _Optional[int] = ..., sent_at: _Optional[float] = ..., clock_doubt: _Optional[str] = ..., uptime_s: _Optional[float] = ..., certificate_days_left: _Optional[float] = ..., batteries: _Optional[int] = ..., errors: _Optional[int] = ..., config_digest: _Optional[str] = ..., parted: _Optional[str] = ..., worst_lag_s: _Optional[float] = ...) -> None: ...

class Peer(_message.Message):
    __slots__ = ("node", "target", "address", "link", "reason", "stubs", "required", "answer_age_s", "boot_id", "epoch", "round_trip_s", "clock_ahead_s", "agreed_digest", "drifted", "lag_s", "keeps_session", "epoch_here", "lease_left_s", "maintenance_s", "maintenance_reason", "failure", "failure_message", "facts", "facts_age_s")
    NODE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    LINK_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    STUBS_FIELD_NUMBER: _ClassVar[int]
    REQUIRED_FIELD_NUMBER: _ClassVar[int]
    ANSWER_AGE_S_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    ROUND_TRIP_S_FIELD_NUMBER: _ClassVar[int]
    CLOCK_AHEAD_S_FIELD_NUMBER: _ClassVar[int]
    AGREED_DIGEST_FIELD_NUMBER: _ClassVar[int]
    DRIFTED_FIELD_NUMBER: _ClassVar[int]
    LAG_S_FIELD_NUMBER: _ClassVar[int]
    KEEPS_SESSION_FIELD_NUMBER: _ClassVar[int]
    EPOCH_HERE_FIELD_NUMBER: _ClassVar[int]
    LEASE_LEFT_S_FIELD_NUMBER: _ClassVar[int]
    MAINTENANCE_S_FIELD_NUMBER: _ClassVar[int]
    MAINTENANCE_REASON_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    FACTS_AGE_S_FIELD_NUMBER: _ClassVar[int]
    node: str
    target: str
    address: str
    link: _battery_pb2.Link
    reason: str
    stubs: _containers.RepeatedScalarFieldContainer[str]
    required: bool
    answer_age_s: float
    boot_id: str
    epoch: int
    round_trip_s: float
    clock_ahead_s: float
    agreed_digest: str
    drifted: bool
    lag_s: float
    keeps_session: bool
    epoch_here: int
    lease_left_s: float
    maintenance_s: float
    maintenance_reason: str
    failure: str
    failure_message: str
    facts: NodeFacts
    facts_age_s: float
    def __init__(self, node: _Optional[str] = ..., target: _Optional[str] = ..., address: _Optional[str] = ..., link: _Optional[_Union[_battery_pb2.Link, str]] = ..., reason: _Optional[str] = ..., stubs: _Optional[_Iterable[str]] = ..., required: _Optional[bool] = ..., answer_age_s: _Optional[float] = ..., boot_id: _Optional[str] = ..., epoch: _Optional[int] = ..., round_trip_s: _Optional[float] = ..., clock_ahead_s: _Optional[float] = ..., agreed_digest: _Optional[str] = ..., drifted: _Optional[bool] = ..., lag_s: _Optional[float] = ..., keeps_session: _Optional[bool] = ..., epoch_here: _Optional[int] = ..., lease_left_s: _Optional[float] = ..., maintenance_s: _Optional[float] = ..., maintenance_reason: _Optional[str] = ..., failure: _Optional[str] = ..., failure_message: _Optional[str] = ..., facts: _Optional[_Union[NodeFacts, _Mapping]] = ..., facts_age_s: _Optional[float] = ...) -> None: ...

class ListPeersRequest(_message.Message):
    __slots__ = ("within_s",)
    WITHIN_S_FIELD_NUMBER: _ClassVar[int]
    within_s: float
    def __init__(self, within_s: _Optional[float] = ...) -> None: ...

class ListPeersResponse(_message.Message):
    __slots__ = ("own", "system_state", "reason", "peers")
    OWN_FIELD_NUMBER: _ClassVar[int]
    SYSTEM_STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    PEERS_FIELD_NUMBER: _ClassVar[int]
    own: NodeFacts
    system_state: SystemState
    reason: str
    peers: _containers.RepeatedCompositeFieldContainer[Peer]
    def __init__(self, own: _Optional[_Union[NodeFacts, _Mapping]] = ..., system_state: _Optional[_Union[SystemState, str]] = ..., reason: _Optional[str] = ..., peers: _Optional[_Iterable[_Union[Peer, _Mapping]]] = ...) -> None: ...

class AssumeSafeRequest(_message.Message):
    __slots__ = ("node",)
    NODE_FIELD_NUMBER: _ClassVar[int]
    node: str
    def __init__(self, node: _Optional[str] = ...) -> None: ...

class AssumedSafe(_message.Message):
    __slots__ = ("name", "counted_a")
    NAME_FIELD_NUMBER: _ClassVar[int]
    COUNTED_A_FIELD_NUMBER: _ClassVar[int]
    name: str
    counted_a: float
    def __init__(self, name: _Optional[str] = ..., counted_a: _Optional[float] = ...) -> None: ...

class AssumeSafeResponse(_message.Message):
    __slots__ = ("node", "batteries", "grants", "alone_limits", "hint")
    NODE_FIELD_NUMBER: _ClassVar[int]
    BATTERIES_FIELD_NUMBER: _ClassVar[int]
    GRANTS_FIELD_NUMBER: _ClassVar[int]
    ALONE_LIMITS_FIELD_NUMBER: _ClassVar[int]
    HINT_FIELD_NUMBER: _ClassVar[int]
    node: str
    batteries: _containers.RepeatedCompositeFieldContainer[AssumedSafe]
    grants: _containers.RepeatedScalarFieldContainer[str]
    alone_limits: _containers.RepeatedScalarFieldContainer[str]
    hint: str
    def __init__(self, node: _Optional[str] = ..., batteries: _Optional[_Iterable[_Union[AssumedSafe, _Mapping]]] = ..., grants: _Optional[_Iterable[str]] = ..., alone_limits: _Optional[_Iterable[str]] = ..., hint: _Optional[str] = ...) -> None: ...

class MaintenanceRequest(_message.Message):
    __slots__ = ("node", "for_s", "reason")
    NODE_FIELD_NUMBER: _ClassVar[int]
    FOR_S_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    node: str
    for_s: float
    reason: str
    def __init__(self, node: _Optional[str] = ..., for_s: _Optional[float] = ..., reason: _Optional[str] = ...) -> None: ...

class MaintenanceResponse(_message.Message):
    __slots__ = ("node", "for_s", "was_expected")
    NODE_FIELD_NUMBER: _ClassVar[int]
    FOR_S_FIELD_NUMBER: _ClassVar[int]
    WAS_EXPECTED_FIELD_NUMBER: _ClassVar[int]
    node: str
    for_s: float
    was_expected: bool
    def __init__(self, node: _Optional[str] = ..., for_s: _Optional[float] = ..., was_expected: _Optional[bool] = ...) -> None: ...
