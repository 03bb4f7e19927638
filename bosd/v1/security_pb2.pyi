from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class CertificateRequestRequest(_message.Message):
    __slots__ = ("nonce", "asked_at")
    NONCE_FIELD_NUMBER: _ClassVar[int]
    ASKED_AT_FIELD_NUMBER: _ClassVar[int]
    nonce: bytes
    asked_at: float
    def __init__(self, nonce: _Optional[bytes] = ..., asked_at: _Optional[float] = ...) -> None: ...

class CertificateRequestResponse(_message.Message):
    __slots__ = ("certificate_pem", "signing_request_der", "signature")
    CERTIFICATE_PEM_FIELD_NUMBER: _ClassVar[int]
    SIGNING_REQUEST_DER_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    certificate_pem: bytes
    signing_request_der: bytes
    signature: bytes
    def __init__(self, certificate_pem: _Optional[bytes] = ..., signing_request_der: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class InstallCertificateRequest(_message.Message):
    __slots__ = ("certificate_pem",)
    CERTIFICATE_PEM_FIELD_NUMBER: _ClassVar[int]
    certificate_pem: bytes
    def __init__(self, certificate_pem: _Optional[bytes] = ...) -> None: ...

class InstallCertificateResponse(_message.Message):
    __slots__ = ("serial", "ends_at")
    SERIAL_FIELD_NUMBER: _ClassVar[int]
    ENDS_AT_FIELD_NUMBER: _ClassVar[int]
    serial: str
    ends_at: float
    def __init__(self, serial: _Optional[str] = ..., ends_at: _Optional[float] = ...) -> None: ...

class InstallRevocationsRequest(_message.Message):
    __slots__ = ("revoked_pem",)
    REVOKED_PEM_FIELD_NUMBER: _ClassVar[int]
    revoked_pem: bytes
    def __init__(self, revoked_pem: _Optional[bytes] = ...) -> None: ...

class InstallRevocationsResponse(_message.Message):
    __slots__ = ("number",)
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    number: int
    def __init__(self, number: _Optional[int] = ...) -> None: ...
