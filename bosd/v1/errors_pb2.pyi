from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Severity(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SEVERITY_UNSPECIFIED: _ClassVar[Severity]
    SEVERITY_LOW: _ClassVar[Severity]
    SEVERITY_MEDIUM: _ClassVar[Severity]
    SEVERITY_HIGH: _ClassVar[Severity]

class ErrorState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ERROR_STATE_UNSPECIFIED: _ClassVar[ErrorState]
    ERROR_STATE_ACTIVE: _ClassVar[ErrorState]
    ERROR_STATE_CLEARED: _ClassVar[ErrorState]
    ERROR_STATE_CLEARED_BY_REBOOT: _ClassVar[ErrorState]
SEVERITY_UNSPECIFIED: Severity
SEVERITY_LOW: Severity
SEVERITY_MEDIUM: Severity
SEVERITY_HIGH: Severity
ERROR_STATE_UNSPECIFIED: ErrorState
ERROR_STATE_ACTIVE: ErrorState
ERROR_STATE_CLEARED: ErrorState
ERROR_STATE_CLEARED_BY_REBOOT: ErrorState

class NodeError(_message.Message):
    __slots__ = ("id", "type", "sub_type", "severity", "message", "node", "module", "battery", "raised_at", "boot_id", "state", "repeats", "age_s", "via")
    ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    SUB_TYPE_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    MODULE_FIELD_NUMBER: _ClassVar[int]
    BATTERY_FIELD_NUMBER: _ClassVar[int]
    RAISED_AT_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REPEATS_FIELD_NUMBER: _ClassVar[int]
    AGE_S_FIELD_NUMBER: _ClassVar[int]
    VIA_FIELD_NUMBER: _ClassVar[int]
    id: str
    type: str
    sub_type: str
    severity: Severity
    message: str
    node: str
    module: str
    battery: str
    raised_at: float
    boot_id: str
    state: ErrorState
    repeats: int
    age_s: float
    via: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[str] = ..., type: _Optional[str] = ..., sub_type: _Optional[str] = ..., severity: _Optional[_Union[Severity, str]] = ..., message: _Optional[str] = ..., node: _Optional[str] = ..., module: _Optional[str] = ..., battery: _Optional[str] = ..., raised_at: _Optional[float] = ..., boot_id: _Optional[str] = ..., state: _Optional[_Union[ErrorState, str]] = ..., repeats: _Optional[int] = ..., age_s: _Optional[float] = ..., via: _Optional[_Iterable[str]] = ...) -> None: ...

class ListErrorsRequest(_message.Message):
    __slots__ = ("cleared",)
    CLEARED_FIELD_NUMBER: _ClassVar[int]
    cleared: bool
    def __init__(self, cleared: _Optional[bool] = ...) -> None: ...

class ListErrorsResponse(_message.Message):
    __slots__ = ("errors", "node", "boot_id")
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    errors: _containers.RepeatedCompositeFieldContainer[NodeError]
    node: str
    boot_id: str
    def __init__(self, errors: _Optional[_Iterable[_Union[NodeError, _Mapping]]] = ..., node: _Optional[str] = ..., boot_id: _Optional[str] = ...) -> None: ...

class WatchErrorsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WatchErrorsResponse(_message.Message):
    __slots__ = ("unchanged", "errors", "node", "boot_id")
    UNCHANGED_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    unchanged: bool
    errors: _containers.RepeatedCompositeFieldContainer[NodeError]
    node: str
    boot_id: str
    def __init__(self, unchanged: _Optional[bool] = ..., errors: _Optional[_Iterable[_Union[NodeError, _Mapping]]] = ..., node: _Optional[str] = ..., boot_id: _Optional[str] = ...) -> None: ...
