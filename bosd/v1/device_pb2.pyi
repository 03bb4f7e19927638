from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetDeviceRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeviceText(_message.Message):
    __slots__ = ("name", "text")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    name: str
    text: str
    def __init__(self, name: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class DeviceCount(_message.Message):
    __slots__ = ("name", "count")
    NAME_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    name: str
    count: int
    def __init__(self, name: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...

class DeviceFlag(_message.Message):
    __slots__ = ("name", "set")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SET_FIELD_NUMBER: _ClassVar[int]
    name: str
    set: bool
    def __init__(self, name: _Optional[str] = ..., set: _Optional[bool] = ...) -> None: ...

class DeviceLimit(_message.Message):
    __slots__ = ("direction", "limit_a", "source")
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    LIMIT_A_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    direction: str
    limit_a: float
    source: str
    def __init__(self, direction: _Optional[str] = ..., limit_a: _Optional[float] = ..., source: _Optional[str] = ...) -> None: ...

class DeviceTraffic(_message.Message):
    __slots__ = ("requests", "retries", "replies", "resyncs", "rejects", "latency_min_s", "latency_median_s", "latency_p95_s", "latency_max_s")
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    RETRIES_FIELD_NUMBER: _ClassVar[int]
    REPLIES_FIELD_NUMBER: _ClassVar[int]
    RESYNCS_FIELD_NUMBER: _ClassVar[int]
    REJECTS_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MIN_S_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MEDIAN_S_FIELD_NUMBER: _ClassVar[int]
    LATENCY_P95_S_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MAX_S_FIELD_NUMBER: _ClassVar[int]
    requests: int
    retries: int
    replies: int
    resyncs: int
    rejects: _containers.RepeatedCompositeFieldContainer[DeviceCount]
    latency_min_s: float
    latency_median_s: float
    latency_p95_s: float
    latency_max_s: float
    def __init__(self, requests: _Optional[int] = ..., retries: _Optional[int] = ..., replies: _Optional[int] = ..., resyncs: _Optional[int] = ..., rejects: _Optional[_Iterable[_Union[DeviceCount, _Mapping]]] = ..., latency_min_s: _Optional[float] = ..., latency_median_s: _Optional[float] = ..., latency_p95_s: _Optional[float] = ..., latency_max_s: _Optional[float] = ...) -> None: ...

class Device(_message.Message):
    __slots__ = ("name", "kind", "port", "identity", "trips", "flags", "balancing_cells", "limits", "traffic", "notes", "read_at", "regulator")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    TRIPS_FIELD_NUMBER: _ClassVar[int]
    FLAGS_FIELD_NUMBER: _ClassVar[int]
    BALANCING_CELLS_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    TRAFFIC_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    READ_AT_FIELD_NUMBER: _ClassVar[int]
    REGULATOR_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: str
    port: str
    identity: _containers.RepeatedCompositeFieldContainer[DeviceText]
    trips: _containers.RepeatedCompositeFieldContainer[DeviceCount]
    flags: _containers.RepeatedCompositeFieldContainer[DeviceFlag]
    balancing_cells: _containers.RepeatedScalarFieldContainer[int]
    limits: _containers.RepeatedCompositeFieldContainer[DeviceLimit]
    traffic: DeviceTraffic
    notes: _containers.RepeatedScalarFieldContainer[str]
    read_at: float
    regulator: Device
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[str] = ..., port: _Optional[str] = ..., identity: _Optional[_Iterable[_Union[DeviceText, _Mapping]]] = ..., trips: _Optional[_Iterable[_Union[DeviceCount, _Mapping]]] = ..., flags: _Optional[_Iterable[_Union[DeviceFlag, _Mapping]]] = ..., balancing_cells: _Optional[_Iterable[int]] = ..., limits: _Optional[_Iterable[_Union[DeviceLimit, _Mapping]]] = ..., traffic: _Optional[_Union[DeviceTraffic, _Mapping]] = ..., notes: _Optional[_Iterable[str]] = ..., read_at: _Optional[float] = ..., regulator: _Optional[_Union[Device, _Mapping]] = ...) -> None: ...
