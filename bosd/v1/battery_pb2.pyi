from bosd.v1 import explain_pb2 as _explain_pb2
from bosd.v1 import node_pb2 as _node_pb2
from bosd.v1 import schedule_pb2 as _schedule_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Quality(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    QUALITY_UNSPECIFIED: _ClassVar[Quality]
    QUALITY_GOOD: _ClassVar[Quality]
    QUALITY_STALE: _ClassVar[Quality]
    QUALITY_UNAVAILABLE: _ClassVar[Quality]

class Link(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LINK_UNSPECIFIED: _ClassVar[Link]
    LINK_LOCAL: _ClassVar[Link]
    LINK_CONNECTING: _ClassVar[Link]
    LINK_SYNC: _ClassVar[Link]
    LINK_READY: _ClassVar[Link]
    LINK_STALE: _ClassVar[Link]
    LINK_LOST: _ClassVar[Link]
    LINK_REFUSED: _ClassVar[Link]
    LINK_EXPECTED_DOWN: _ClassVar[Link]

class SetpointSource(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SETPOINT_SOURCE_UNSPECIFIED: _ClassVar[SetpointSource]
    SETPOINT_SOURCE_MANUAL: _ClassVar[SetpointSource]
    SETPOINT_SOURCE_SCHEDULE: _ClassVar[SetpointSource]
    SETPOINT_SOURCE_SAFE: _ClassVar[SetpointSource]
QUALITY_UNSPECIFIED: Quality
QUALITY_GOOD: Quality
QUALITY_STALE: Quality
QUALITY_UNAVAILABLE: Quality
LINK_UNSPECIFIED: Link
LINK_LOCAL: Link
LINK_CONNECTING: Link
LINK_SYNC: Link
LINK_READY: Link
LINK_STALE: Link
LINK_LOST: Link
LINK_REFUSED: Link
LINK_EXPECTED_DOWN: Link
SETPOINT_SOURCE_UNSPECIFIED: SetpointSource
SETPOINT_SOURCE_MANUAL: SetpointSource
SETPOINT_SOURCE_SCHEDULE: SetpointSource
SETPOINT_SOURCE_SAFE: SetpointSource

class Unreached(_message.Message):
    __slots__ = ("aside_w", "aside_a", "why", "within_s")
    ASIDE_W_FIELD_NUMBER: _ClassVar[int]
    ASIDE_A_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    WITHIN_S_FIELD_NUMBER: _ClassVar[int]
    aside_w: float
    aside_a: float
    why: str
    within_s: float
    def __init__(self, aside_w: _Optional[float] = ..., aside_a: _Optional[float] = ..., why: _Optional[str] = ..., within_s: _Optional[float] = ...) -> None: ...

class OwnLimit(_message.Message):
    __slots__ = ("limit_a", "text")
    LIMIT_A_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    limit_a: float
    text: str
    def __init__(self, limit_a: _Optional[float] = ..., text: _Optional[str] = ...) -> None: ...

class BatteryStatus(_message.Message):
    __slots__ = ("name", "kind", "voltage_v", "current_a", "power_w", "charge_ah", "capacity_ah", "soc", "max_discharge_current_a", "max_charge_current_a", "ideal_max_discharge_current_a", "ideal_max_charge_current_a", "usable_charge_ah", "balanced_usable_charge_ah", "expected_charge_ah", "unobserved_s", "requested_current_a", "applied_current_a", "setpoint_source", "setpoint_ends_at", "sampled_from", "sampled_to", "age_s", "quality", "link", "commandable", "reason", "cells_v", "temperatures_c", "cycles", "faults", "path", "hops", "controllable", "max_staleness_s", "unallocated_ah", "balancing_cells", "charge_switch_closed", "discharge_switch_closed", "stopped", "holder", "unreached_charge", "unreached_discharge", "own_charge_limit", "own_discharge_limit")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    VOLTAGE_V_FIELD_NUMBER: _ClassVar[int]
    CURRENT_A_FIELD_NUMBER: _ClassVar[int]
    POWER_W_FIELD_NUMBER: _ClassVar[int]
    CHARGE_AH_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_AH_FIELD_NUMBER: _ClassVar[int]
    SOC_FIELD_NUMBER: _ClassVar[int]
    MAX_DISCHARGE_CURRENT_A_FIELD_NUMBER: _ClassVar[int]
    MAX_CHARGE_CURRENT_A_FIELD_NUMBER: _ClassVar[int]
    IDEAL_MAX_DISCHARGE_CURRENT_A_FIELD_NUMBER: _ClassVar[int]
    IDEAL_MAX_CHARGE_CURRENT_A_FIELD_NUMBER: _ClassVar[int]
    USABLE_CHARGE_AH_FIELD_NUMBER: _ClassVar[int]
    BALANCED_USABLE_CHARGE_AH_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_CHARGE_AH_FIELD_NUMBER: _ClassVar[int]
    UNOBSERVED_S_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_CURRENT_A_FIELD_NUMBER: _ClassVar[int]
    APPLIED_CURRENT_A_FIELD_NUMBER: _ClassVar[int]
    SETPOINT_SOURCE_FIELD_NUMBER: _ClassVar[int]
    SETPOINT_ENDS_AT_FIELD_NUMBER: _ClassVar[int]
    SAMPLED_FROM_FIELD_NUMBER: _ClassVar[int]
    SAMPLED_TO_FIELD_NUMBER: _ClassVar[int]
    AGE_S_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    LINK_FIELD_NUMBER: _ClassVar[int]
    COMMANDABLE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CELLS_V_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURES_C_FIELD_NUMBER: _ClassVar[int]
    CYCLES_FIELD_NUMBER: _ClassVar[int]
    FAULTS_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    HOPS_FIELD_NUMBER: _ClassVar[int]
    CONTROLLABLE_FIELD_NUMBER: _ClassVar[int]
    MAX_STALENESS_S_FIELD_NUMBER: _ClassVar[int]
    UNALLOCATED_AH_FIELD_NUMBER: _ClassVar[int]
    BALANCING_CELLS_FIELD_NUMBER: _ClassVar[int]
    CHARGE_SWITCH_CLOSED_FIELD_NUMBER: _ClassVar[int]
    DISCHARGE_SWITCH_CLOSED_FIELD_NUMBER: _ClassVar[int]
    STOPPED_FIELD_NUMBER: _ClassVar[int]
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    UNREACHED_CHARGE_FIELD_NUMBER: _ClassVar[int]
    UNREACHED_DISCHARGE_FIELD_NUMBER: _ClassVar[int]
    OWN_CHARGE_LIMIT_FIELD_NUMBER: _ClassVar[int]
    OWN_DISCHARGE_LIMIT_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: str
    voltage_v: float
    current_a: float
    power_w: float
    charge_ah: float
    capacity_ah: float
    soc: float
    max_discharge_current_a: float
    max_charge_current_a: float
    ideal_max_discharge_current_a: float
    ideal_max_charge_current_a: float
    usable_charge_ah: float
    balanced_usable_charge_ah: float
    expected_charge_ah: float
    unobserved_s: float
    requested_current_a: float
    applied_current_a: float
    setpoint_source: SetpointSource
    setpoint_ends_at: float
    sampled_from: float
    sampled_to: float
    age_s: float
    quality: Quality
    link: Link
    commandable: bool
    reason: str
    cells_v: _containers.RepeatedScalarFieldContainer[float]
    temperatures_c: _containers.RepeatedScalarFieldContainer[float]
    cycles: int
    faults: _containers.RepeatedScalarFieldContainer[str]
    path: _containers.RepeatedScalarFieldContainer[str]
    hops: int
    controllable: bool
    max_staleness_s: float
    unallocated_ah: float
    balancing_cells: _containers.RepeatedScalarFieldContainer[int]
    charge_switch_closed: bool
    discharge_switch_closed: bool
    stopped: bool
    holder: str
    unreached_charge: Unreached
    unreached_discharge: Unreached
    own_charge_limit: OwnLimit
    own_discharge_limit: OwnLimit
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[str] = ..., voltage_v: _Optional[float] = ..., current_a: _Optional[float] = ..., power_w: _Optional[float] = ..., charge_ah: _Optional[float] = ..., capacity_ah: _Optional[float] = ..., soc: _Optional[float] = ..., max_discharge_current_a: _Optional[float] = ..., max_charge_current_a: _Optional[float] = ..., ideal_max_discharge_current_a: _Optional[float] = ..., ideal_max_charge_current_a: _Optional[float] = ..., usable_charge_ah: _Optional[float] = ..., balanced_usable_charge_ah: _Optional[float] = ..., expected_charge_ah: _Optional[float] = ..., unobserved_s: _Optional[float] = ..., requested_current_a: _Optional[float] = ..., applied_current_a: _Optional[float] = ..., setpoint_source: _Optional[_Union[SetpointSource, str]] = ..., setpoint_ends_at: _Optional[float] = ..., sampled_from: _Optional[float] = ..., sampled_to: _Optional[float] = ..., age_s: _Optional[float] = ..., quality: _Optional[_Union[Quality, str]] = ..., link: _Optional[_Union[Link, str]] = ..., commandable: _Optional[bool] = ..., reason: _Optional[str] = ..., cells_v: _Optional[_Iterable[float]] = ..., temperatures_c: _Optional[_Iterable[float]] = ..., cycles: _Optional[int] = ..., faults: _Optional[_Iterable[str]] = ..., path: _Optional[_Iterable[str]] = ..., hops: _Optional[int] = ..., controllable: _Optional[bool] = ..., max_staleness_s: _Optional[float] = ..., unallocated_ah: _Optional[float] = ..., balancing_cells: _Optional[_Iterable[int]] = ..., charge_switch_closed: _Optional[bool] = ..., discharge_switch_closed: _Optional[bool] = ..., stopped: _Optional[bool] = ..., holder: _Optional[str] = ..., unreached_charge: _Optional[_Union[Unreached, _Mapping]] = ..., unreached_discharge: _Optional[_Union[Unreached, _Mapping]] = ..., own_charge_limit: _Optional[_Union[OwnLimit, _Mapping]] = ..., own_discharge_limit: _Optional[_Union[OwnLimit, _Mapping]] = ...) -> None: ...

class GetStatusRequest(_message.Message):
    __slots__ = ("name", "max_age_s")
    NAME_FIELD_NUMBER: _ClassVar[int]
    MAX_AGE_S_FIELD_NUMBER: _ClassVar[int]
    name: str
    max_age_s: float
    def __init__(self, name: _Optional[str] = ..., max_age_s: _Optional[float] = ...) -> None: ...

class ListStatusesRequest(_message.Message):
    __slots__ = ("names", "max_age_s")
    NAMES_FIELD_NUMBER: _ClassVar[int]
    MAX_AGE_S_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    max_age_s: float
    def __init__(self, names: _Optional[_Iterable[str]] = ..., max_age_s: _Optional[float] = ...) -> None: ...

class ListStatusesResponse(_message.Message):
    __slots__ = ("statuses", "node")
    STATUSES_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    statuses: _containers.RepeatedCompositeFieldContainer[BatteryStatus]
    node: str
    def __init__(self, statuses: _Optional[_Iterable[_Union[BatteryStatus, _Mapping]]] = ..., node: _Optional[str] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("name", "names", "min_interval_s", "max_staleness_s")
    NAME_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    MIN_INTERVAL_S_FIELD_NUMBER: _ClassVar[int]
    MAX_STALENESS_S_FIELD_NUMBER: _ClassVar[int]
    name: str
    names: _containers.RepeatedScalarFieldContainer[str]
    min_interval_s: float
    max_staleness_s: float
    def __init__(self, name: _Optional[str] = ..., names: _Optional[_Iterable[str]] = ..., min_interval_s: _Optional[float] = ..., max_staleness_s: _Optional[float] = ...) -> None: ...

class WatchResponse(_message.Message):
    __slots__ = ("statuses", "node", "sent_at", "removed", "beat_s")
    STATUSES_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    SENT_AT_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    BEAT_S_FIELD_NUMBER: _ClassVar[int]
    statuses: _containers.RepeatedCompositeFieldContainer[BatteryStatus]
    node: str
    sent_at: float
    removed: _containers.RepeatedScalarFieldContainer[str]
    beat_s: float
    def __init__(self, statuses: _Optional[_Iterable[_Union[BatteryStatus, _Mapping]]] = ..., node: _Optional[str] = ..., sent_at: _Optional[float] = ..., removed: _Optional[_Iterable[str]] = ..., beat_s: _Optional[float] = ...) -> None: ...

class SetCurrentRequest(_message.Message):
    __slots__ = ("name", "current_a", "ttl_s", "request_id", "dry_run", "fence", "force")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CURRENT_A_FIELD_NUMBER: _ClassVar[int]
    TTL_S_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    FENCE_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    name: str
    current_a: float
    ttl_s: float
    request_id: str
    dry_run: bool
    fence: _node_pb2.Fence
    force: bool
    def __init__(self, name: _Optional[str] = ..., current_a: _Optional[float] = ..., ttl_s: _Optional[float] = ..., request_id: _Optional[str] = ..., dry_run: _Optional[bool] = ..., fence: _Optional[_Union[_node_pb2.Fence, _Mapping]] = ..., force: _Optional[bool] = ...) -> None: ...

class LeafCommand(_message.Message):
    __slots__ = ("name", "old_current_a", "new_current_a", "limit_a", "reason")
    NAME_FIELD_NUMBER: _ClassVar[int]
    OLD_CURRENT_A_FIELD_NUMBER: _ClassVar[int]
    NEW_CURRENT_A_FIELD_NUMBER: _ClassVar[int]
    LIMIT_A_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    name: str
    old_current_a: float
    new_current_a: float
    limit_a: float
    reason: str
    def __init__(self, name: _Optional[str] = ..., old_current_a: _Optional[float] = ..., new_current_a: _Optional[float] = ..., limit_a: _Optional[float] = ..., reason: _Optional[str] = ...) -> None: ...

class SetCurrentResponse(_message.Message):
    __slots__ = ("name", "requested_current_a", "applied_current_a", "setpoint_ends_at", "ttl_s", "reason", "leaves", "binds", "may_run_a", "unread", "taken_from")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_CURRENT_A_FIELD_NUMBER: _ClassVar[int]
    APPLIED_CURRENT_A_FIELD_NUMBER: _ClassVar[int]
    SETPOINT_ENDS_AT_FIELD_NUMBER: _ClassVar[int]
    TTL_S_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    LEAVES_FIELD_NUMBER: _ClassVar[int]
    BINDS_FIELD_NUMBER: _ClassVar[int]
    MAY_RUN_A_FIELD_NUMBER: _ClassVar[int]
    UNREAD_FIELD_NUMBER: _ClassVar[int]
    TAKEN_FROM_FIELD_NUMBER: _ClassVar[int]
    name: str
    requested_current_a: float
    applied_current_a: float
    setpoint_ends_at: float
    ttl_s: float
    reason: str
    leaves: _containers.RepeatedCompositeFieldContainer[LeafCommand]
    binds: str
    may_run_a: float
    unread: bool
    taken_from: str
    def __init__(self, name: _Optional[str] = ..., requested_current_a: _Optional[float] = ..., applied_current_a: _Optional[float] = ..., setpoint_ends_at: _Optional[float] = ..., ttl_s: _Optional[float] = ..., reason: _Optional[str] = ..., leaves: _Optional[_Iterable[_Union[LeafCommand, _Mapping]]] = ..., binds: _Optional[str] = ..., may_run_a: _Optional[float] = ..., unread: _Optional[bool] = ..., taken_from: _Optional[str] = ...) -> None: ...

class ClearCurrentRequest(_message.Message):
    __slots__ = ("name", "fence")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FENCE_FIELD_NUMBER: _ClassVar[int]
    name: str
    fence: _node_pb2.Fence
    def __init__(self, name: _Optional[str] = ..., fence: _Optional[_Union[_node_pb2.Fence, _Mapping]] = ...) -> None: ...

class StopRequest(_message.Message):
    __slots__ = ("names", "node", "all", "reason", "via")
    NAMES_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    VIA_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    node: bool
    all: bool
    reason: str
    via: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, names: _Optional[_Iterable[str]] = ..., node: _Optional[bool] = ..., all: _Optional[bool] = ..., reason: _Optional[str] = ..., via: _Optional[_Iterable[str]] = ...) -> None: ...

class StopResponse(_message.Message):
    __slots__ = ("stopped", "unconfirmed", "not_at_owner", "unrecorded", "unknown")
    STOPPED_FIELD_NUMBER: _ClassVar[int]
    UNCONFIRMED_FIELD_NUMBER: _ClassVar[int]
    NOT_AT_OWNER_FIELD_NUMBER: _ClassVar[int]
    UNRECORDED_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    stopped: _containers.RepeatedScalarFieldContainer[str]
    unconfirmed: _containers.RepeatedScalarFieldContainer[str]
    not_at_owner: _containers.RepeatedCompositeFieldContainer[NotAtOwner]
    unrecorded: _containers.RepeatedScalarFieldContainer[str]
    unknown: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, stopped: _Optional[_Iterable[str]] = ..., unconfirmed: _Optional[_Iterable[str]] = ..., not_at_owner: _Optional[_Iterable[_Union[NotAtOwner, _Mapping]]] = ..., unrecorded: _Optional[_Iterable[str]] = ..., unknown: _Optional[_Iterable[str]] = ...) -> None: ...

class NotAtOwner(_message.Message):
    __slots__ = ("name", "reason")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    name: str
    reason: str
    def __init__(self, name: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class ReleaseRequest(_message.Message):
    __slots__ = ("names", "via")
    NAMES_FIELD_NUMBER: _ClassVar[int]
    VIA_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    via: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, names: _Optional[_Iterable[str]] = ..., via: _Optional[_Iterable[str]] = ...) -> None: ...

class ReleaseResponse(_message.Message):
    __slots__ = ("released", "not_released", "asked_again")
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    NOT_RELEASED_FIELD_NUMBER: _ClassVar[int]
    ASKED_AGAIN_FIELD_NUMBER: _ClassVar[int]
    released: _containers.RepeatedScalarFieldContainer[str]
    not_released: _containers.RepeatedCompositeFieldContainer[NotReleased]
    asked_again: _containers.RepeatedCompositeFieldContainer[AskedAgain]
    def __init__(self, released: _Optional[_Iterable[str]] = ..., not_released: _Optional[_Iterable[_Union[NotReleased, _Mapping]]] = ..., asked_again: _Optional[_Iterable[_Union[AskedAgain, _Mapping]]] = ...) -> None: ...

class AskedAgain(_message.Message):
    __slots__ = ("name", "current_a", "holder")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CURRENT_A_FIELD_NUMBER: _ClassVar[int]
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    name: str
    current_a: float
    holder: str
    def __init__(self, name: _Optional[str] = ..., current_a: _Optional[float] = ..., holder: _Optional[str] = ...) -> None: ...

class NotReleased(_message.Message):
    __slots__ = ("name", "reason", "message")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    name: str
    reason: str
    message: str
    def __init__(self, name: _Optional[str] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class RefreshRequest(_message.Message):
    __slots__ = ("name", "recursive")
    NAME_FIELD_NUMBER: _ClassVar[int]
    RECURSIVE_FIELD_NUMBER: _ClassVar[int]
    name: str
    recursive: bool
    def __init__(self, name: _Optional[str] = ..., recursive: _Optional[bool] = ...) -> None: ...

class ModifyPseudoRequest(_message.Message):
    __slots__ = ("name", "voltage_v", "charge_ah", "capacity_ah", "max_discharge_current_a", "max_charge_current_a")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VOLTAGE_V_FIELD_NUMBER: _ClassVar[int]
    CHARGE_AH_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_AH_FIELD_NUMBER: _ClassVar[int]
    MAX_DISCHARGE_CURRENT_A_FIELD_NUMBER: _ClassVar[int]
    MAX_CHARGE_CURRENT_A_FIELD_NUMBER: _ClassVar[int]
    name: str
    voltage_v: float
    charge_ah: float
    capacity_ah: float
    max_discharge_current_a: float
    max_charge_current_a: float
    def __init__(self, name: _Optional[str] = ..., voltage_v: _Optional[float] = ..., charge_ah: _Optional[float] = ..., capacity_ah: _Optional[float] = ..., max_discharge_current_a: _Optional[float] = ..., max_charge_current_a: _Optional[float] = ...) -> None: ...
