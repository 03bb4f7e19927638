from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ClockMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CLOCK_MODE_UNSPECIFIED: _ClassVar[ClockMode]
    CLOCK_MODE_SYSTEM: _ClassVar[ClockMode]
    CLOCK_MODE_SIMULATED: _ClassVar[ClockMode]
CLOCK_MODE_UNSPECIFIED: ClockMode
CLOCK_MODE_SYSTEM: ClockMode
CLOCK_MODE_SIMULATED: ClockMode

class ClockState(_message.Message):
    __slots__ = ("mode", "time", "monotonic_s", "rate", "instants")
    MODE_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    MONOTONIC_S_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    INSTANTS_FIELD_NUMBER: _ClassVar[int]
    mode: ClockMode
    time: float
    monotonic_s: float
    rate: float
    instants: int
    def __init__(self, mode: _Optional[_Union[ClockMode, str]] = ..., time: _Optional[float] = ..., monotonic_s: _Optional[float] = ..., rate: _Optional[float] = ..., instants: _Optional[int] = ...) -> None: ...

class GetClockRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class TickRequest(_message.Message):
    __slots__ = ("duration_s",)
    DURATION_S_FIELD_NUMBER: _ClassVar[int]
    duration_s: float
    def __init__(self, duration_s: _Optional[float] = ...) -> None: ...

class SetClockRequest(_message.Message):
    __slots__ = ("mode", "time", "rate")
    MODE_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    mode: ClockMode
    time: float
    rate: float
    def __init__(self, mode: _Optional[_Union[ClockMode, str]] = ..., time: _Optional[float] = ..., rate: _Optional[float] = ...) -> None: ...
