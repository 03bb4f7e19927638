from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LedgerEntry(_message.Message):
    __slots__ = ("number", "account", "giver", "taker", "charge_ah", "energy_wh", "start", "end")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    GIVER_FIELD_NUMBER: _ClassVar[int]
    TAKER_FIELD_NUMBER: _ClassVar[int]
    CHARGE_AH_FIELD_NUMBER: _ClassVar[int]
    ENERGY_WH_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    number: int
    account: str
    giver: str
    taker: str
    charge_ah: float
    energy_wh: float
    start: float
    end: float
    def __init__(self, number: _Optional[int] = ..., account: _Optional[str] = ..., giver: _Optional[str] = ..., taker: _Optional[str] = ..., charge_ah: _Optional[float] = ..., energy_wh: _Optional[float] = ..., start: _Optional[float] = ..., end: _Optional[float] = ...) -> None: ...

class ListLedgerRequest(_message.Message):
    __slots__ = ("name", "since", "until", "ago_s", "until_ago_s", "after_number", "limit")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    AGO_S_FIELD_NUMBER: _ClassVar[int]
    UNTIL_AGO_S_FIELD_NUMBER: _ClassVar[int]
    AFTER_NUMBER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    name: str
    since: float
    until: float
    ago_s: float
    until_ago_s: float
    after_number: int
    limit: int
    def __init__(self, name: _Optional[str] = ..., since: _Optional[float] = ..., until: _Optional[float] = ..., ago_s: _Optional[float] = ..., until_ago_s: _Optional[float] = ..., after_number: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class ListLedgerResponse(_message.Message):
    __slots__ = ("entries", "next_after")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_AFTER_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[LedgerEntry]
    next_after: int
    def __init__(self, entries: _Optional[_Iterable[_Union[LedgerEntry, _Mapping]]] = ..., next_after: _Optional[int] = ...) -> None: ...

class LedgerStatementRequest(_message.Message):
    __slots__ = ("name", "since", "until", "ago_s", "until_ago_s")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    AGO_S_FIELD_NUMBER: _ClassVar[int]
    UNTIL_AGO_S_FIELD_NUMBER: _ClassVar[int]
    name: str
    since: float
    until: float
    ago_s: float
    until_ago_s: float
    def __init__(self, name: _Optional[str] = ..., since: _Optional[float] = ..., until: _Optional[float] = ..., ago_s: _Optional[float] = ..., until_ago_s: _Optional[float] = ...) -> None: ...

class Counterparty(_message.Message):
    __slots__ = ("name", "in_ah", "in_wh", "out_ah", "out_wh")
    NAME_FIELD_NUMBER: _ClassVar[int]
    IN_AH_FIELD_NUMBER: _ClassVar[int]
    IN_WH_FIELD_NUMBER: _ClassVar[int]
    OUT_AH_FIELD_NUMBER: _ClassVar[int]
    OUT_WH_FIELD_NUMBER: _ClassVar[int]
    name: str
    in_ah: float
    in_wh: float
    out_ah: float
    out_wh: float
    def __init__(self, name: _Optional[str] = ..., in_ah: _Optional[float] = ..., in_wh: _Optional[float] = ..., out_ah: _Optional[float] = ..., out_wh: _Optional[float] = ...) -> None: ...

class LedgerTransfer(_message.Message):
    __slots__ = ("giver", "taker", "charge_ah", "energy_wh")
    GIVER_FIELD_NUMBER: _ClassVar[int]
    TAKER_FIELD_NUMBER: _ClassVar[int]
    CHARGE_AH_FIELD_NUMBER: _ClassVar[int]
    ENERGY_WH_FIELD_NUMBER: _ClassVar[int]
    giver: str
    taker: str
    charge_ah: float
    energy_wh: float
    def __init__(self, giver: _Optional[str] = ..., taker: _Optional[str] = ..., charge_ah: _Optional[float] = ..., energy_wh: _Optional[float] = ...) -> None: ...

class LedgerStatement(_message.Message):
    __slots__ = ("name", "counterparties", "transfers", "unpriced_ah", "expected_charge_ah", "unobserved_s", "unallocated_ah", "unattributed_ah")
    NAME_FIELD_NUMBER: _ClassVar[int]
    COUNTERPARTIES_FIELD_NUMBER: _ClassVar[int]
    TRANSFERS_FIELD_NUMBER: _ClassVar[int]
    UNPRICED_AH_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_CHARGE_AH_FIELD_NUMBER: _ClassVar[int]
    UNOBSERVED_S_FIELD_NUMBER: _ClassVar[int]
    UNALLOCATED_AH_FIELD_NUMBER: _ClassVar[int]
    UNATTRIBUTED_AH_FIELD_NUMBER: _ClassVar[int]
    name: str
    counterparties: _containers.RepeatedCompositeFieldContainer[Counterparty]
    transfers: _containers.RepeatedCompositeFieldContainer[LedgerTransfer]
    unpriced_ah: float
    expected_charge_ah: float
    unobserved_s: float
    unallocated_ah: float
    unattributed_ah: float
    def __init__(self, name: _Optional[str] = ..., counterparties: _Optional[_Iterable[_Union[Counterparty, _Mapping]]] = ..., transfers: _Optional[_Iterable[_Union[LedgerTransfer, _Mapping]]] = ..., unpriced_ah: _Optional[float] = ..., expected_charge_ah: _Optional[float] = ..., unobserved_s: _Optional[float] = ..., unallocated_ah: _Optional[float] = ..., unattributed_ah: _Optional[float] = ...) -> None: ...

class ResetMeterRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ResetMeterResponse(_message.Message):
    __slots__ = ("shift_ah",)
    SHIFT_AH_FIELD_NUMBER: _ClassVar[int]
    shift_ah: float
    def __init__(self, shift_ah: _Optional[float] = ...) -> None: ...
