from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Fence(_message.Message):
    __slots__ = ("boot_id", "epoch", "sequence", "owner_s")
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    OWNER_S_FIELD_NUMBER: _ClassVar[int]
    boot_id: str
    epoch: int
    sequence: int
    owner_s: float
    def __init__(self, boot_id: _Optional[str] = ..., epoch: _Optional[int] = ..., sequence: _Optional[int] = ..., owner_s: _Optional[float] = ...) -> None: ...

class HelloRequest(_message.Message):
    __slots__ = ("nonce", "boot_id", "protocol", "version", "believed_boot_id", "believed_epoch", "elsewhere")
    NONCE_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    BELIEVED_BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    BELIEVED_EPOCH_FIELD_NUMBER: _ClassVar[int]
    ELSEWHERE_FIELD_NUMBER: _ClassVar[int]
    nonce: str
    boot_id: str
    protocol: int
    version: str
    believed_boot_id: str
    believed_epoch: int
    elsewhere: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, nonce: _Optional[str] = ..., boot_id: _Optional[str] = ..., protocol: _Optional[int] = ..., version: _Optional[str] = ..., believed_boot_id: _Optional[str] = ..., believed_epoch: _Optional[int] = ..., elsewhere: _Optional[_Iterable[str]] = ...) -> None: ...

class HelloResponse(_message.Message):
    __slots__ = ("node", "boot_id", "epoch", "owner_s", "lease_s", "heartbeat_s", "version", "known", "config_digest", "tells_unreached")
    NODE_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    OWNER_S_FIELD_NUMBER: _ClassVar[int]
    LEASE_S_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_S_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    KNOWN_FIELD_NUMBER: _ClassVar[int]
    CONFIG_DIGEST_FIELD_NUMBER: _ClassVar[int]
    TELLS_UNREACHED_FIELD_NUMBER: _ClassVar[int]
    node: str
    boot_id: str
    epoch: int
    owner_s: float
    lease_s: float
    heartbeat_s: float
    version: str
    known: bool
    config_digest: str
    tells_unreached: bool
    def __init__(self, node: _Optional[str] = ..., boot_id: _Optional[str] = ..., epoch: _Optional[int] = ..., owner_s: _Optional[float] = ..., lease_s: _Optional[float] = ..., heartbeat_s: _Optional[float] = ..., version: _Optional[str] = ..., known: _Optional[bool] = ..., config_digest: _Optional[str] = ..., tells_unreached: _Optional[bool] = ...) -> None: ...

class SyncRequest(_message.Message):
    __slots__ = ("boot_id", "epoch")
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    boot_id: str
    epoch: int
    def __init__(self, boot_id: _Optional[str] = ..., epoch: _Optional[int] = ...) -> None: ...

class Claim(_message.Message):
    __slots__ = ("name", "current_a", "ttl_s")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CURRENT_A_FIELD_NUMBER: _ClassVar[int]
    TTL_S_FIELD_NUMBER: _ClassVar[int]
    name: str
    current_a: float
    ttl_s: float
    def __init__(self, name: _Optional[str] = ..., current_a: _Optional[float] = ..., ttl_s: _Optional[float] = ...) -> None: ...

class BatteryFacts(_message.Message):
    __slots__ = ("name", "safe_within_s", "unconfirmed_a", "unread", "taken_by", "alone_discharge_limit_w", "alone_charge_limit_w", "charge_efficiency", "discharge_efficiency", "failsafe_time_s")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SAFE_WITHIN_S_FIELD_NUMBER: _ClassVar[int]
    UNCONFIRMED_A_FIELD_NUMBER: _ClassVar[int]
    UNREAD_FIELD_NUMBER: _ClassVar[int]
    TAKEN_BY_FIELD_NUMBER: _ClassVar[int]
    ALONE_DISCHARGE_LIMIT_W_FIELD_NUMBER: _ClassVar[int]
    ALONE_CHARGE_LIMIT_W_FIELD_NUMBER: _ClassVar[int]
    CHARGE_EFFICIENCY_FIELD_NUMBER: _ClassVar[int]
    DISCHARGE_EFFICIENCY_FIELD_NUMBER: _ClassVar[int]
    FAILSAFE_TIME_S_FIELD_NUMBER: _ClassVar[int]
    name: str
    safe_within_s: float
    unconfirmed_a: float
    unread: bool
    taken_by: str
    alone_discharge_limit_w: float
    alone_charge_limit_w: float
    charge_efficiency: float
    discharge_efficiency: float
    failsafe_time_s: float
    def __init__(self, name: _Optional[str] = ..., safe_within_s: _Optional[float] = ..., unconfirmed_a: _Optional[float] = ..., unread: _Optional[bool] = ..., taken_by: _Optional[str] = ..., alone_discharge_limit_w: _Optional[float] = ..., alone_charge_limit_w: _Optional[float] = ..., charge_efficiency: _Optional[float] = ..., discharge_efficiency: _Optional[float] = ..., failsafe_time_s: _Optional[float] = ...) -> None: ...

class SyncResponse(_message.Message):
    __slots__ = ("batteries", "claims", "config_digest", "digest", "owner_s")
    BATTERIES_FIELD_NUMBER: _ClassVar[int]
    CLAIMS_FIELD_NUMBER: _ClassVar[int]
    CONFIG_DIGEST_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    OWNER_S_FIELD_NUMBER: _ClassVar[int]
    batteries: _containers.RepeatedCompositeFieldContainer[BatteryFacts]
    claims: _containers.RepeatedCompositeFieldContainer[Claim]
    config_digest: str
    digest: str
    owner_s: float
    def __init__(self, batteries: _Optional[_Iterable[_Union[BatteryFacts, _Mapping]]] = ..., claims: _Optional[_Iterable[_Union[Claim, _Mapping]]] = ..., config_digest: _Optional[str] = ..., digest: _Optional[str] = ..., owner_s: _Optional[float] = ...) -> None: ...

class ReadyRequest(_message.Message):
    __slots__ = ("boot_id", "epoch", "digest", "claims", "owner_s")
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    CLAIMS_FIELD_NUMBER: _ClassVar[int]
    OWNER_S_FIELD_NUMBER: _ClassVar[int]
    boot_id: str
    epoch: int
    digest: str
    claims: _containers.RepeatedCompositeFieldContainer[Claim]
    owner_s: float
    def __init__(self, boot_id: _Optional[str] = ..., epoch: _Optional[int] = ..., digest: _Optional[str] = ..., claims: _Optional[_Iterable[_Union[Claim, _Mapping]]] = ..., owner_s: _Optional[float] = ...) -> None: ...

class ReadyResponse(_message.Message):
    __slots__ = ("agreed", "owner_s")
    AGREED_FIELD_NUMBER: _ClassVar[int]
    OWNER_S_FIELD_NUMBER: _ClassVar[int]
    agreed: bool
    owner_s: float
    def __init__(self, agreed: _Optional[bool] = ..., owner_s: _Optional[float] = ...) -> None: ...

class Beat(_message.Message):
    __slots__ = ("boot_id", "epoch", "number", "owner_s")
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    OWNER_S_FIELD_NUMBER: _ClassVar[int]
    boot_id: str
    epoch: int
    number: int
    owner_s: float
    def __init__(self, boot_id: _Optional[str] = ..., epoch: _Optional[int] = ..., number: _Optional[int] = ..., owner_s: _Optional[float] = ...) -> None: ...

class BeatReply(_message.Message):
    __slots__ = ("number", "owner_s", "renewed", "config_digest", "lag_s", "resync")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    OWNER_S_FIELD_NUMBER: _ClassVar[int]
    RENEWED_FIELD_NUMBER: _ClassVar[int]
    CONFIG_DIGEST_FIELD_NUMBER: _ClassVar[int]
    LAG_S_FIELD_NUMBER: _ClassVar[int]
    RESYNC_FIELD_NUMBER: _ClassVar[int]
    number: int
    owner_s: float
    renewed: bool
    config_digest: str
    lag_s: float
    resync: bool
    def __init__(self, number: _Optional[int] = ..., owner_s: _Optional[float] = ..., renewed: _Optional[bool] = ..., config_digest: _Optional[str] = ..., lag_s: _Optional[float] = ..., resync: _Optional[bool] = ...) -> None: ...
