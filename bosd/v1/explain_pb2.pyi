from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ExplainRequest(_message.Message):
    __slots__ = ("name", "within_s")
    NAME_FIELD_NUMBER: _ClassVar[int]
    WITHIN_S_FIELD_NUMBER: _ClassVar[int]
    name: str
    within_s: float
    def __init__(self, name: _Optional[str] = ..., within_s: _Optional[float] = ...) -> None: ...

class ExplainStep(_message.Message):
    __slots__ = ("battery", "kind", "node", "depth", "limit_a", "ideal_limit_a", "cause", "by", "text", "left_out")
    BATTERY_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    LIMIT_A_FIELD_NUMBER: _ClassVar[int]
    IDEAL_LIMIT_A_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    battery: str
    kind: str
    node: str
    depth: int
    limit_a: float
    ideal_limit_a: float
    cause: str
    by: _containers.RepeatedScalarFieldContainer[str]
    text: str
    left_out: bool
    def __init__(self, battery: _Optional[str] = ..., kind: _Optional[str] = ..., node: _Optional[str] = ..., depth: _Optional[int] = ..., limit_a: _Optional[float] = ..., ideal_limit_a: _Optional[float] = ..., cause: _Optional[str] = ..., by: _Optional[_Iterable[str]] = ..., text: _Optional[str] = ..., left_out: _Optional[bool] = ...) -> None: ...

class InForce(_message.Message):
    __slots__ = ("source", "requested_current_a", "applied_current_a", "holder", "ends_in_s", "ends_at", "limited_by", "text")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_CURRENT_A_FIELD_NUMBER: _ClassVar[int]
    APPLIED_CURRENT_A_FIELD_NUMBER: _ClassVar[int]
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    ENDS_IN_S_FIELD_NUMBER: _ClassVar[int]
    ENDS_AT_FIELD_NUMBER: _ClassVar[int]
    LIMITED_BY_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    source: str
    requested_current_a: float
    applied_current_a: float
    holder: str
    ends_in_s: float
    ends_at: float
    limited_by: str
    text: str
    def __init__(self, source: _Optional[str] = ..., requested_current_a: _Optional[float] = ..., applied_current_a: _Optional[float] = ..., holder: _Optional[str] = ..., ends_in_s: _Optional[float] = ..., ends_at: _Optional[float] = ..., limited_by: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class ExplainResponse(_message.Message):
    __slots__ = ("name", "node", "discharge", "charge", "in_force", "time_to_empty_s", "time_to_full_s", "notes", "discharge_summary", "charge_summary", "safe_within_s", "failsafe_time_s")
    NAME_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    DISCHARGE_FIELD_NUMBER: _ClassVar[int]
    CHARGE_FIELD_NUMBER: _ClassVar[int]
    IN_FORCE_FIELD_NUMBER: _ClassVar[int]
    TIME_TO_EMPTY_S_FIELD_NUMBER: _ClassVar[int]
    TIME_TO_FULL_S_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    DISCHARGE_SUMMARY_FIELD_NUMBER: _ClassVar[int]
    CHARGE_SUMMARY_FIELD_NUMBER: _ClassVar[int]
    SAFE_WITHIN_S_FIELD_NUMBER: _ClassVar[int]
    FAILSAFE_TIME_S_FIELD_NUMBER: _ClassVar[int]
    name: str
    node: str
    discharge: _containers.RepeatedCompositeFieldContainer[ExplainStep]
    charge: _containers.RepeatedCompositeFieldContainer[ExplainStep]
    in_force: InForce
    time_to_empty_s: float
    time_to_full_s: float
    notes: _containers.RepeatedScalarFieldContainer[str]
    discharge_summary: str
    charge_summary: str
    safe_within_s: float
    failsafe_time_s: float
    def __init__(self, name: _Optional[str] = ..., node: _Optional[str] = ..., discharge: _Optional[_Iterable[_Union[ExplainStep, _Mapping]]] = ..., charge: _Optional[_Iterable[_Union[ExplainStep, _Mapping]]] = ..., in_force: _Optional[_Union[InForce, _Mapping]] = ..., time_to_empty_s: _Optional[float] = ..., time_to_full_s: _Optional[float] = ..., notes: _Optional[_Iterable[str]] = ..., discharge_summary: _Optional[str] = ..., charge_summary: _Optional[str] = ..., safe_within_s: _Optional[float] = ..., failsafe_time_s: _Optional[float] = ...) -> None: ...
