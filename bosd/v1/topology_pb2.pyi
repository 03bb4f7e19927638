from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TopologyEntry(_message.Message):
    __slots__ = ("name", "kind", "sources", "users", "splitter")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    USERS_FIELD_NUMBER: _ClassVar[int]
    SPLITTER_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: str
    sources: _containers.RepeatedScalarFieldContainer[str]
    users: _containers.RepeatedScalarFieldContainer[str]
    splitter: str
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[str] = ..., sources: _Optional[_Iterable[str]] = ..., users: _Optional[_Iterable[str]] = ..., splitter: _Optional[str] = ...) -> None: ...

class Topology(_message.Message):
    __slots__ = ("revision", "toml", "entries", "node", "changed_at", "parted")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    TOML_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    PARTED_FIELD_NUMBER: _ClassVar[int]
    revision: int
    toml: str
    entries: _containers.RepeatedCompositeFieldContainer[TopologyEntry]
    node: str
    changed_at: float
    parted: str
    def __init__(self, revision: _Optional[int] = ..., toml: _Optional[str] = ..., entries: _Optional[_Iterable[_Union[TopologyEntry, _Mapping]]] = ..., node: _Optional[str] = ..., changed_at: _Optional[float] = ..., parted: _Optional[str] = ...) -> None: ...

class TopologyChange(_message.Message):
    __slots__ = ("action", "name", "kind", "detail")
    class Action(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ACTION_UNSPECIFIED: _ClassVar[TopologyChange.Action]
        ACTION_ADD: _ClassVar[TopologyChange.Action]
        ACTION_REMOVE: _ClassVar[TopologyChange.Action]
        ACTION_REPLACE: _ClassVar[TopologyChange.Action]
    ACTION_UNSPECIFIED: TopologyChange.Action
    ACTION_ADD: TopologyChange.Action
    ACTION_REMOVE: TopologyChange.Action
    ACTION_REPLACE: TopologyChange.Action
    ACTION_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    action: TopologyChange.Action
    name: str
    kind: str
    detail: str
    def __init__(self, action: _Optional[_Union[TopologyChange.Action, str]] = ..., name: _Optional[str] = ..., kind: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class TopologyEdit(_message.Message):
    __slots__ = ("add", "remove", "replace", "whole", "split", "merge")
    class Remove(_message.Message):
        __slots__ = ("name",)
        NAME_FIELD_NUMBER: _ClassVar[int]
        name: str
        def __init__(self, name: _Optional[str] = ...) -> None: ...
    class Replace(_message.Message):
        __slots__ = ("name", "toml")
        NAME_FIELD_NUMBER: _ClassVar[int]
        TOML_FIELD_NUMBER: _ClassVar[int]
        name: str
        toml: str
        def __init__(self, name: _Optional[str] = ..., toml: _Optional[str] = ...) -> None: ...
    class Split(_message.Message):
        __slots__ = ("splitter", "name", "donor", "above", "fraction", "charge_ah", "capacity_ah", "max_discharge_current_a", "max_charge_current_a")
        SPLITTER_FIELD_NUMBER: _ClassVar[int]
        NAME_FIELD_NUMBER: _ClassVar[int]
        DONOR_FIELD_NUMBER: _ClassVar[int]
        ABOVE_FIELD_NUMBER: _ClassVar[int]
        FRACTION_FIELD_NUMBER: _ClassVar[int]
        CHARGE_AH_FIELD_NUMBER: _ClassVar[int]
        CAPACITY_AH_FIELD_NUMBER: _ClassVar[int]
        MAX_DISCHARGE_CURRENT_A_FIELD_NUMBER: _ClassVar[int]
        MAX_CHARGE_CURRENT_A_FIELD_NUMBER: _ClassVar[int]
        splitter: str
        name: str
        donor: str
        above: str
        fraction: float
        charge_ah: float
        capacity_ah: float
        max_discharge_current_a: float
        max_charge_current_a: float
        def __init__(self, splitter: _Optional[str] = ..., name: _Optional[str] = ..., donor: _Optional[str] = ..., above: _Optional[str] = ..., fraction: _Optional[float] = ..., charge_ah: _Optional[float] = ..., capacity_ah: _Optional[float] = ..., max_discharge_current_a: _Optional[float] = ..., max_charge_current_a: _Optional[float] = ...) -> None: ...
    class Merge(_message.Message):
        __slots__ = ("name", "into")
        NAME_FIELD_NUMBER: _ClassVar[int]
        INTO_FIELD_NUMBER: _ClassVar[int]
        name: str
        into: str
        def __init__(self, name: _Optional[str] = ..., into: _Optional[str] = ...) -> None: ...
    ADD_FIELD_NUMBER: _ClassVar[int]
    REMOVE_FIELD_NUMBER: _ClassVar[int]
    REPLACE_FIELD_NUMBER: _ClassVar[int]
    WHOLE_FIELD_NUMBER: _ClassVar[int]
    SPLIT_FIELD_NUMBER: _ClassVar[int]
    MERGE_FIELD_NUMBER: _ClassVar[int]
    add: str
    remove: TopologyEdit.Remove
    replace: TopologyEdit.Replace
    whole: str
    split: TopologyEdit.Split
    merge: TopologyEdit.Merge
    def __init__(self, add: _Optional[str] = ..., remove: _Optional[_Union[TopologyEdit.Remove, _Mapping]] = ..., replace: _Optional[_Union[TopologyEdit.Replace, _Mapping]] = ..., whole: _Optional[str] = ..., split: _Optional[_Union[TopologyEdit.Split, _Mapping]] = ..., merge: _Optional[_Union[TopologyEdit.Merge, _Mapping]] = ...) -> None: ...

class GetTopologyRequest(_message.Message):
    __slots__ = ("granted_to",)
    GRANTED_TO_FIELD_NUMBER: _ClassVar[int]
    granted_to: str
    def __init__(self, granted_to: _Optional[str] = ...) -> None: ...

class ApplyTopologyRequest(_message.Message):
    __slots__ = ("edits", "expected_revision", "request_id", "comment")
    EDITS_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_REVISION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    edits: _containers.RepeatedCompositeFieldContainer[TopologyEdit]
    expected_revision: int
    request_id: str
    comment: str
    def __init__(self, edits: _Optional[_Iterable[_Union[TopologyEdit, _Mapping]]] = ..., expected_revision: _Optional[int] = ..., request_id: _Optional[str] = ..., comment: _Optional[str] = ...) -> None: ...

class ApplyTopologyResponse(_message.Message):
    __slots__ = ("revision", "changes", "warnings", "unconfirmed")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    UNCONFIRMED_FIELD_NUMBER: _ClassVar[int]
    revision: int
    changes: _containers.RepeatedCompositeFieldContainer[TopologyChange]
    warnings: _containers.RepeatedScalarFieldContainer[str]
    unconfirmed: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, revision: _Optional[int] = ..., changes: _Optional[_Iterable[_Union[TopologyChange, _Mapping]]] = ..., warnings: _Optional[_Iterable[str]] = ..., unconfirmed: _Optional[_Iterable[str]] = ...) -> None: ...

class TopologyHistoryRequest(_message.Message):
    __slots__ = ("limit",)
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    limit: int
    def __init__(self, limit: _Optional[int] = ...) -> None: ...

class TopologyRevision(_message.Message):
    __slots__ = ("revision", "changed_at", "who", "comment", "changes")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    WHO_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    revision: int
    changed_at: float
    who: str
    comment: str
    changes: _containers.RepeatedCompositeFieldContainer[TopologyChange]
    def __init__(self, revision: _Optional[int] = ..., changed_at: _Optional[float] = ..., who: _Optional[str] = ..., comment: _Optional[str] = ..., changes: _Optional[_Iterable[_Union[TopologyChange, _Mapping]]] = ...) -> None: ...

class TopologyHistoryResponse(_message.Message):
    __slots__ = ("revisions",)
    REVISIONS_FIELD_NUMBER: _ClassVar[int]
    revisions: _containers.RepeatedCompositeFieldContainer[TopologyRevision]
    def __init__(self, revisions: _Optional[_Iterable[_Union[TopologyRevision, _Mapping]]] = ...) -> None: ...

class GetRevisionRequest(_message.Message):
    __slots__ = ("revision",)
    REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    def __init__(self, revision: _Optional[int] = ...) -> None: ...

class WatchTopologyRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
