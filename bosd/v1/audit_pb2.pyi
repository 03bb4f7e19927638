from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AuditRecord(_message.Message):
    __slots__ = ("number", "at", "until", "who", "action", "outcome", "names", "count", "reason", "message", "comment", "asked", "before", "after", "previous", "hash")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    WHO_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    ASKED_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    number: int
    at: float
    until: float
    who: str
    action: str
    outcome: str
    names: _containers.RepeatedScalarFieldContainer[str]
    count: int
    reason: str
    message: str
    comment: str
    asked: str
    before: str
    after: str
    previous: str
    hash: str
    def __init__(self, number: _Optional[int] = ..., at: _Optional[float] = ..., until: _Optional[float] = ..., who: _Optional[str] = ..., action: _Optional[str] = ..., outcome: _Optional[str] = ..., names: _Optional[_Iterable[str]] = ..., count: _Optional[int] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., comment: _Optional[str] = ..., asked: _Optional[str] = ..., before: _Optional[str] = ..., after: _Optional[str] = ..., previous: _Optional[str] = ..., hash: _Optional[str] = ...) -> None: ...

class ListAuditRequest(_message.Message):
    __slots__ = ("since", "until", "battery", "who", "limit", "before_number", "after_number", "ago_s", "until_ago_s")
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    BATTERY_FIELD_NUMBER: _ClassVar[int]
    WHO_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    BEFORE_NUMBER_FIELD_NUMBER: _ClassVar[int]
    AFTER_NUMBER_FIELD_NUMBER: _ClassVar[int]
    AGO_S_FIELD_NUMBER: _ClassVar[int]
    UNTIL_AGO_S_FIELD_NUMBER: _ClassVar[int]
    since: float
    until: float
    battery: str
    who: str
    limit: int
    before_number: int
    after_number: int
    ago_s: float
    until_ago_s: float
    def __init__(self, since: _Optional[float] = ..., until: _Optional[float] = ..., battery: _Optional[str] = ..., who: _Optional[str] = ..., limit: _Optional[int] = ..., before_number: _Optional[int] = ..., after_number: _Optional[int] = ..., ago_s: _Optional[float] = ..., until_ago_s: _Optional[float] = ...) -> None: ...

class ListAuditResponse(_message.Message):
    __slots__ = ("records", "next_before", "unwritten", "dropped")
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    NEXT_BEFORE_FIELD_NUMBER: _ClassVar[int]
    UNWRITTEN_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    records: _containers.RepeatedCompositeFieldContainer[AuditRecord]
    next_before: int
    unwritten: int
    dropped: int
    def __init__(self, records: _Optional[_Iterable[_Union[AuditRecord, _Mapping]]] = ..., next_before: _Optional[int] = ..., unwritten: _Optional[int] = ..., dropped: _Optional[int] = ...) -> None: ...

class VerifyAuditRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class VerifyAuditResponse(_message.Message):
    __slots__ = ("ok", "records", "first_number", "last_number", "last_hash", "broken_number", "why", "unwritten", "dropped")
    OK_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    FIRST_NUMBER_FIELD_NUMBER: _ClassVar[int]
    LAST_NUMBER_FIELD_NUMBER: _ClassVar[int]
    LAST_HASH_FIELD_NUMBER: _ClassVar[int]
    BROKEN_NUMBER_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    UNWRITTEN_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    ok: bool
    records: int
    first_number: int
    last_number: int
    last_hash: str
    broken_number: int
    why: str
    unwritten: int
    dropped: int
    def __init__(self, ok: _Optional[bool] = ..., records: _Optional[int] = ..., first_number: _Optional[int] = ..., last_number: _Optional[int] = ..., last_hash: _Optional[str] = ..., broken_number: _Optional[int] = ..., why: _Optional[str] = ..., unwritten: _Optional[int] = ..., dropped: _Optional[int] = ...) -> None: ...
