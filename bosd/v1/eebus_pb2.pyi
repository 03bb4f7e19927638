from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EebusStatement(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EEBUS_STATEMENT_UNSPECIFIED: _ClassVar[EebusStatement]
    EEBUS_STATEMENT_NONE: _ClassVar[EebusStatement]
    EEBUS_STATEMENT_UNLIMITED: _ClassVar[EebusStatement]
    EEBUS_STATEMENT_LIMITED: _ClassVar[EebusStatement]
EEBUS_STATEMENT_UNSPECIFIED: EebusStatement
EEBUS_STATEMENT_NONE: EebusStatement
EEBUS_STATEMENT_UNLIMITED: EebusStatement
EEBUS_STATEMENT_LIMITED: EebusStatement

class EebusTransition(_message.Message):
    __slots__ = ("at", "from_state", "to_state", "reason")
    AT_FIELD_NUMBER: _ClassVar[int]
    FROM_STATE_FIELD_NUMBER: _ClassVar[int]
    TO_STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    at: float
    from_state: str
    to_state: str
    reason: str
    def __init__(self, at: _Optional[float] = ..., from_state: _Optional[str] = ..., to_state: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class EebusRestored(_message.Message):
    __slots__ = ("limit_w", "until")
    LIMIT_W_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    limit_w: float
    until: float
    def __init__(self, limit_w: _Optional[float] = ..., until: _Optional[float] = ...) -> None: ...

class EebusState(_message.Message):
    __slots__ = ("fault", "state", "profile", "use_case", "battery", "direction", "statement", "limit_w", "limit_until", "time_left_s", "heartbeat_age_s", "bound_ski", "failsafe_limit_w", "failsafe_duration_s", "connected", "connection", "last_transition", "counters", "restored", "service", "at")
    class CountersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    FAULT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    USE_CASE_FIELD_NUMBER: _ClassVar[int]
    BATTERY_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    STATEMENT_FIELD_NUMBER: _ClassVar[int]
    LIMIT_W_FIELD_NUMBER: _ClassVar[int]
    LIMIT_UNTIL_FIELD_NUMBER: _ClassVar[int]
    TIME_LEFT_S_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_AGE_S_FIELD_NUMBER: _ClassVar[int]
    BOUND_SKI_FIELD_NUMBER: _ClassVar[int]
    FAILSAFE_LIMIT_W_FIELD_NUMBER: _ClassVar[int]
    FAILSAFE_DURATION_S_FIELD_NUMBER: _ClassVar[int]
    CONNECTED_FIELD_NUMBER: _ClassVar[int]
    CONNECTION_FIELD_NUMBER: _ClassVar[int]
    LAST_TRANSITION_FIELD_NUMBER: _ClassVar[int]
    COUNTERS_FIELD_NUMBER: _ClassVar[int]
    RESTORED_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    fault: str
    state: str
    profile: str
    use_case: str
    battery: str
    direction: str
    statement: EebusStatement
    limit_w: float
    limit_until: float
    time_left_s: float
    heartbeat_age_s: float
    bound_ski: str
    failsafe_limit_w: float
    failsafe_duration_s: float
    connected: bool
    connection: str
    last_transition: EebusTransition
    counters: _containers.ScalarMap[str, int]
    restored: EebusRestored
    service: str
    at: float
    def __init__(self, fault: _Optional[str] = ..., state: _Optional[str] = ..., profile: _Optional[str] = ..., use_case: _Optional[str] = ..., battery: _Optional[str] = ..., direction: _Optional[str] = ..., statement: _Optional[_Union[EebusStatement, str]] = ..., limit_w: _Optional[float] = ..., limit_until: _Optional[float] = ..., time_left_s: _Optional[float] = ..., heartbeat_age_s: _Optional[float] = ..., bound_ski: _Optional[str] = ..., failsafe_limit_w: _Optional[float] = ..., failsafe_duration_s: _Optional[float] = ..., connected: _Optional[bool] = ..., connection: _Optional[str] = ..., last_transition: _Optional[_Union[EebusTransition, _Mapping]] = ..., counters: _Optional[_Mapping[str, int]] = ..., restored: _Optional[_Union[EebusRestored, _Mapping]] = ..., service: _Optional[str] = ..., at: _Optional[float] = ...) -> None: ...

class GetEebusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WatchEebusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class EebusHistoryRequest(_message.Message):
    __slots__ = ("limit",)
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    limit: int
    def __init__(self, limit: _Optional[int] = ...) -> None: ...

class EebusPublication(_message.Message):
    __slots__ = ("number", "at", "state", "limit_w", "until", "reason")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_W_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    number: int
    at: float
    state: str
    limit_w: float
    until: float
    reason: str
    def __init__(self, number: _Optional[int] = ..., at: _Optional[float] = ..., state: _Optional[str] = ..., limit_w: _Optional[float] = ..., until: _Optional[float] = ..., reason: _Optional[str] = ...) -> None: ...

class EebusHistoryResponse(_message.Message):
    __slots__ = ("publications",)
    PUBLICATIONS_FIELD_NUMBER: _ClassVar[int]
    publications: _containers.RepeatedCompositeFieldContainer[EebusPublication]
    def __init__(self, publications: _Optional[_Iterable[_Union[EebusPublication, _Mapping]]] = ...) -> None: ...

class EebusScheduleRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class EebusScheduleResponse(_message.Message):
    __slots__ = ("json",)
    JSON_FIELD_NUMBER: _ClassVar[int]
    json: str
    def __init__(self, json: _Optional[str] = ...) -> None: ...
