from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ScheduleRequest(_message.Message):
    __slots__ = ("name", "current_a", "start_at", "start_in_s", "end_at", "end_in_s", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CURRENT_A_FIELD_NUMBER: _ClassVar[int]
    START_AT_FIELD_NUMBER: _ClassVar[int]
    START_IN_S_FIELD_NUMBER: _ClassVar[int]
    END_AT_FIELD_NUMBER: _ClassVar[int]
    END_IN_S_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    current_a: float
    start_at: float
    start_in_s: float
    end_at: float
    end_in_s: float
    request_id: str
    def __init__(self, name: _Optional[str] = ..., current_a: _Optional[float] = ..., start_at: _Optional[float] = ..., start_in_s: _Optional[float] = ..., end_at: _Optional[float] = ..., end_in_s: _Optional[float] = ..., request_id: _Optional[str] = ...) -> None: ...

class Interval(_message.Message):
    __slots__ = ("start_at", "end_at")
    START_AT_FIELD_NUMBER: _ClassVar[int]
    END_AT_FIELD_NUMBER: _ClassVar[int]
    start_at: float
    end_at: float
    def __init__(self, start_at: _Optional[float] = ..., end_at: _Optional[float] = ...) -> None: ...

class Booking(_message.Message):
    __slots__ = ("id", "name", "current_a", "start_at", "end_at", "who", "booked_at", "running", "in_force")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CURRENT_A_FIELD_NUMBER: _ClassVar[int]
    START_AT_FIELD_NUMBER: _ClassVar[int]
    END_AT_FIELD_NUMBER: _ClassVar[int]
    WHO_FIELD_NUMBER: _ClassVar[int]
    BOOKED_AT_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    IN_FORCE_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    current_a: float
    start_at: float
    end_at: float
    who: str
    booked_at: float
    running: bool
    in_force: _containers.RepeatedCompositeFieldContainer[Interval]
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., current_a: _Optional[float] = ..., start_at: _Optional[float] = ..., end_at: _Optional[float] = ..., who: _Optional[str] = ..., booked_at: _Optional[float] = ..., running: _Optional[bool] = ..., in_force: _Optional[_Iterable[_Union[Interval, _Mapping]]] = ...) -> None: ...

class ScheduleResponse(_message.Message):
    __slots__ = ("booking", "survives", "lower_a", "upper_a", "warnings")
    BOOKING_FIELD_NUMBER: _ClassVar[int]
    SURVIVES_FIELD_NUMBER: _ClassVar[int]
    LOWER_A_FIELD_NUMBER: _ClassVar[int]
    UPPER_A_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    booking: Booking
    survives: str
    lower_a: float
    upper_a: float
    warnings: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, booking: _Optional[_Union[Booking, _Mapping]] = ..., survives: _Optional[str] = ..., lower_a: _Optional[float] = ..., upper_a: _Optional[float] = ..., warnings: _Optional[_Iterable[str]] = ...) -> None: ...

class ListScheduleRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListScheduleResponse(_message.Message):
    __slots__ = ("bookings",)
    BOOKINGS_FIELD_NUMBER: _ClassVar[int]
    bookings: _containers.RepeatedCompositeFieldContainer[Booking]
    def __init__(self, bookings: _Optional[_Iterable[_Union[Booking, _Mapping]]] = ...) -> None: ...

class CancelScheduleRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...
