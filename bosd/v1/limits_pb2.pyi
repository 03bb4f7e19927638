from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Direction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DIRECTION_UNSPECIFIED: _ClassVar[Direction]
    DIRECTION_CHARGE: _ClassVar[Direction]
    DIRECTION_DISCHARGE: _ClassVar[Direction]
DIRECTION_UNSPECIFIED: Direction
DIRECTION_CHARGE: Direction
DIRECTION_DISCHARGE: Direction

class Limit(_message.Message):
    __slots__ = ("source", "battery", "direction", "limit_w", "limit_a", "identity", "priority", "until", "who", "comment", "put_at", "in_force", "applied_current_a", "enforceable", "provable", "bound_s", "reason", "restored", "in_amperes")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    BATTERY_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    LIMIT_W_FIELD_NUMBER: _ClassVar[int]
    LIMIT_A_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    WHO_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    PUT_AT_FIELD_NUMBER: _ClassVar[int]
    IN_FORCE_FIELD_NUMBER: _ClassVar[int]
    APPLIED_CURRENT_A_FIELD_NUMBER: _ClassVar[int]
    ENFORCEABLE_FIELD_NUMBER: _ClassVar[int]
    PROVABLE_FIELD_NUMBER: _ClassVar[int]
    BOUND_S_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    RESTORED_FIELD_NUMBER: _ClassVar[int]
    IN_AMPERES_FIELD_NUMBER: _ClassVar[int]
    source: str
    battery: str
    direction: Direction
    limit_w: float
    limit_a: float
    identity: str
    priority: int
    until: float
    who: str
    comment: str
    put_at: float
    in_force: bool
    applied_current_a: float
    enforceable: bool
    provable: bool
    bound_s: float
    reason: str
    restored: bool
    in_amperes: bool
    def __init__(self, source: _Optional[str] = ..., battery: _Optional[str] = ..., direction: _Optional[_Union[Direction, str]] = ..., limit_w: _Optional[float] = ..., limit_a: _Optional[float] = ..., identity: _Optional[str] = ..., priority: _Optional[int] = ..., until: _Optional[float] = ..., who: _Optional[str] = ..., comment: _Optional[str] = ..., put_at: _Optional[float] = ..., in_force: _Optional[bool] = ..., applied_current_a: _Optional[float] = ..., enforceable: _Optional[bool] = ..., provable: _Optional[bool] = ..., bound_s: _Optional[float] = ..., reason: _Optional[str] = ..., restored: _Optional[bool] = ..., in_amperes: _Optional[bool] = ..., **kwargs) -> None: ...

class PutLimitRequest(_message.Message):
    __slots__ = ("battery", "direction", "limit_w", "limit_a", "source", "identity", "priority", "from_in_s", "until", "until_in_s", "comment")
    BATTERY_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    LIMIT_W_FIELD_NUMBER: _ClassVar[int]
    LIMIT_A_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    FROM_IN_S_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    UNTIL_IN_S_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    battery: str
    direction: Direction
    limit_w: float
    limit_a: float
    source: str
    identity: str
    priority: int
    from_in_s: float
    until: float
    until_in_s: float
    comment: str
    def __init__(self, battery: _Optional[str] = ..., direction: _Optional[_Union[Direction, str]] = ..., limit_w: _Optional[float] = ..., limit_a: _Optional[float] = ..., source: _Optional[str] = ..., identity: _Optional[str] = ..., priority: _Optional[int] = ..., from_in_s: _Optional[float] = ..., until: _Optional[float] = ..., until_in_s: _Optional[float] = ..., comment: _Optional[str] = ..., **kwargs) -> None: ...

class PutLimitResponse(_message.Message):
    __slots__ = ("limit",)
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    limit: Limit
    def __init__(self, limit: _Optional[_Union[Limit, _Mapping]] = ...) -> None: ...

class RemoveLimitRequest(_message.Message):
    __slots__ = ("battery", "direction", "source", "identity", "comment")
    BATTERY_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    battery: str
    direction: Direction
    source: str
    identity: str
    comment: str
    def __init__(self, battery: _Optional[str] = ..., direction: _Optional[_Union[Direction, str]] = ..., source: _Optional[str] = ..., identity: _Optional[str] = ..., comment: _Optional[str] = ...) -> None: ...

class RemoveLimitResponse(_message.Message):
    __slots__ = ("removed",)
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    removed: _containers.RepeatedCompositeFieldContainer[Limit]
    def __init__(self, removed: _Optional[_Iterable[_Union[Limit, _Mapping]]] = ...) -> None: ...

class ListLimitsRequest(_message.Message):
    __slots__ = ("names",)
    NAMES_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, names: _Optional[_Iterable[str]] = ...) -> None: ...

class ListLimitsResponse(_message.Message):
    __slots__ = ("limits",)
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    limits: _containers.RepeatedCompositeFieldContainer[Limit]
    def __init__(self, limits: _Optional[_Iterable[_Union[Limit, _Mapping]]] = ...) -> None: ...

class LimitEvent(_message.Message):
    __slots__ = ("at", "event", "limit")
    AT_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    at: float
    event: str
    limit: Limit
    def __init__(self, at: _Optional[float] = ..., event: _Optional[str] = ..., limit: _Optional[_Union[Limit, _Mapping]] = ...) -> None: ...

class LimitHistoryRequest(_message.Message):
    __slots__ = ("battery", "source", "limit")
    BATTERY_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    battery: str
    source: str
    limit: int
    def __init__(self, battery: _Optional[str] = ..., source: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...

class LimitHistoryResponse(_message.Message):
    __slots__ = ("events",)
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[LimitEvent]
    def __init__(self, events: _Optional[_Iterable[_Union[LimitEvent, _Mapping]]] = ...) -> None: ...

class GrantRequest(_message.Message):
    __slots__ = ("battery", "direction", "limit_w", "limit_a", "revision")
    BATTERY_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    LIMIT_W_FIELD_NUMBER: _ClassVar[int]
    LIMIT_A_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    battery: str
    direction: Direction
    limit_w: float
    limit_a: float
    revision: int
    def __init__(self, battery: _Optional[str] = ..., direction: _Optional[_Union[Direction, str]] = ..., limit_w: _Optional[float] = ..., limit_a: _Optional[float] = ..., revision: _Optional[int] = ...) -> None: ...

class GrantResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
