"""Who may call what: the one table of rights (control.md, "Owners, sessions, claims").

Every method of every service stands in `METHODS`; one that does not is refused to everybody who comes over TLS.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bosd.config.security import ALL
from bosd.errors import NotAllowedError
from bosd.pki.identity import Identity, Role


class Need(StrEnum):
    """What a call asks of its caller."""

    ANY = "call"
    READ = "read"
    READ_ALL = "read all"
    SET = "set or book"
    STOP = "stop"
    SESSION = "keep a session"
    GRANT = "pass on a limit"
    NODES = "see how nodes stand"
    RENEW = "renew certificates"
    ADMIN = "administer"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a method needs, what the audit calls it, and the batteries a request names (none named: all, where it reads).

    `more` returns the rule that a request falls under which asks for more than the method does, else None.
    """

    need: Need
    action: str
    names: Callable[[Any], Sequence[str]]
    more: "Callable[[Any], Rule | None]" = lambda _request: None

    def of(self, request: Any) -> "Rule":  # noqa: ANN401 (requests of many types)
        """Return the rule for this request, None where it is not known yet."""
        return (None if request is None else self.more(request)) or self


_ROLES: Mapping[Need, frozenset[Role]] = {
    Need.ANY: frozenset(Role),
    Need.READ: frozenset(Role),
    Need.READ_ALL: frozenset({Role.VIEWER, Role.OPERATOR, Role.ADMIN}),
    Need.SET: frozenset({Role.OPERATOR, Role.NODE, Role.TENANT, Role.ADMIN}),
    Need.STOP: frozenset({Role.OPERATOR, Role.NODE, Role.TENANT, Role.ADMIN}),
    Need.SESSION: frozenset({Role.NODE}),
    Need.GRANT: frozenset({Role.NODE}),
    Need.NODES: frozenset({Role.VIEWER, Role.OPERATOR, Role.NODE, Role.ADMIN}),
    Need.RENEW: frozenset({Role.NODE, Role.ADMIN}),
    Need.ADMIN: frozenset({Role.ADMIN}),
}
_ASK_FOR: Mapping[Need, str] = {
    Need.READ_ALL: "viewer",
    Need.SET: "operator",
    Need.STOP: "operator",
    Need.SESSION: "node",
    Need.GRANT: "node",
    Need.NODES: "viewer",
    Need.RENEW: "node",
    Need.ADMIN: "admin",
}
_NAMED = frozenset({Role.NODE, Role.TENANT})
"""Roles that have what is granted to them and nothing else."""


def _one(request: Any) -> Sequence[str]:  # noqa: ANN401 (requests of many types)
    return (request.name,) if request.name else ()


def _many(request: Any) -> Sequence[str]:  # noqa: ANN401
    return tuple(request.names)


def _watched(request: Any) -> Sequence[str]:  # noqa: ANN401
    return (*_one(request), *request.names)


def _battery(request: Any) -> Sequence[str]:  # noqa: ANN401
    return (request.battery,) if request.battery else ()


def _health(request: Any) -> Sequence[str]:  # noqa: ANN401
    return (request.service.removeprefix("battery/"),) if request.service else ()


def _none(request: Any) -> Sequence[str]:  # noqa: ANN401
    del request
    return ()


def _forced(request: Any) -> Rule | None:  # noqa: ANN401
    return Rule(Need.ADMIN, "force", _one) if request.force else None


_N, _F, _LIM = "/bosd.v1.NodeService/", "/bosd.v1.FleetService/", "/bosd.v1.LimitService/"
_B, _T, _L = "/bosd.v1.BatteryService/", "/bosd.v1.TopologyService/", "/bosd.v1.LedgerService/"
METHODS: Mapping[str, Rule] = {
    f"{_B}GetStatus": Rule(Need.READ, "read", _one),
    f"{_B}ListStatuses": Rule(Need.READ, "read", _many),
    f"{_B}Watch": Rule(Need.READ, "read", _watched),
    f"{_B}Refresh": Rule(Need.READ, "read", _one),
    f"{_B}Explain": Rule(Need.READ, "explain", _one),
    f"{_B}SetCurrent": Rule(Need.SET, "set", _one, _forced),
    f"{_B}ClearCurrent": Rule(Need.SET, "clear", _one),
    f"{_B}Schedule": Rule(Need.SET, "book", _one),
    f"{_B}ListSchedule": Rule(Need.READ, "read", _one),
    f"{_B}CancelSchedule": Rule(Need.SET, "cancel", _none),
    f"{_B}Stop": Rule(Need.STOP, "stop", _many),
    f"{_B}Release": Rule(Need.ADMIN, "release", _many),
    f"{_B}ModifyPseudo": Rule(Need.ADMIN, "pseudo", _one),
    f"{_T}Get": Rule(Need.READ, "read", _none),
    f"{_T}Watch": Rule(Need.READ, "read", _none),
    f"{_T}Plan": Rule(Need.READ_ALL, "plan", _none),
    f"{_T}Apply": Rule(Need.ADMIN, "apply", _none),
    f"{_T}History": Rule(Need.READ_ALL, "read", _none),
    f"{_T}GetRevision": Rule(Need.READ_ALL, "read", _none),
    "/bosd.v1.DeviceService/Get": Rule(Need.READ, "read", _one),
    f"{_L}List": Rule(Need.READ, "read", _one),
    f"{_L}Statement": Rule(Need.READ, "read", _one),
    f"{_L}ResetMeter": Rule(Need.ADMIN, "reset", _one),
    f"{_N}Hello": Rule(Need.SESSION, "session", _none),
    f"{_N}Sync": Rule(Need.SESSION, "session", _none),
    f"{_N}Ready": Rule(Need.SESSION, "session", _none),
    f"{_N}Heartbeat": Rule(Need.SESSION, "session", _none),
    f"{_LIM}Put": Rule(Need.ADMIN, "limit", _battery),
    f"{_LIM}Remove": Rule(Need.ADMIN, "unlimit", _battery),
    f"{_LIM}List": Rule(Need.READ, "read", _many),
    f"{_LIM}Watch": Rule(Need.READ, "read", _many),
    f"{_LIM}History": Rule(Need.READ, "read", _battery),
    f"{_LIM}Grant": Rule(Need.GRANT, "grant", _battery),
    f"{_F}Describe": Rule(Need.NODES, "describe", _none),
    f"{_F}ListPeers": Rule(Need.READ_ALL, "read", _none),
    f"{_F}AssumeSafe": Rule(Need.ADMIN, "assume-safe", _none),
    f"{_F}Maintenance": Rule(Need.ADMIN, "maintenance", _none),
    "/bosd.v1.SecurityService/CertificateRequest": Rule(Need.RENEW, "certificate", _none),
    "/bosd.v1.SecurityService/InstallCertificate": Rule(Need.RENEW, "certificate", _none),
    "/bosd.v1.SecurityService/InstallRevocations": Rule(Need.RENEW, "certificate", _none),
    "/bosd.v1.EebusService/Get": Rule(Need.READ_ALL, "read", _none),
    "/bosd.v1.EebusService/Watch": Rule(Need.READ_ALL, "read", _none),
    "/bosd.v1.EebusService/History": Rule(Need.READ_ALL, "read", _none),
    "/bosd.v1.EebusService/Schedule": Rule(Need.READ_ALL, "read", _none),
    "/bosd.v1.ErrorService/List": Rule(Need.READ, "read", _none),
    "/bosd.v1.ErrorService/Watch": Rule(Need.READ, "read", _none),
    "/bosd.v1.AuditService/List": Rule(Need.READ, "read", _battery),
    "/bosd.v1.AuditService/Verify": Rule(Need.READ_ALL, "read", _none),
    "/bosd.v1.ClockService/Get": Rule(Need.ANY, "read", _none),
    "/bosd.v1.ClockService/Tick": Rule(Need.ADMIN, "tick", _none),
    "/bosd.v1.ClockService/Set": Rule(Need.ADMIN, "clock", _none),
    "/grpc.health.v1.Health/Check": Rule(Need.READ, "read", _health),
    "/grpc.health.v1.Health/Watch": Rule(Need.READ, "read", _health),
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": Rule(Need.ANY, "read", _none),
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": Rule(Need.ANY, "read", _none),
}

_DOES: Mapping[str, str] = {
    "pseudo": "change a pseudo battery",
    "apply": "apply a topology",
    "reset": "reset a meter",
    "session": "keep a session",
    "unlimit": "remove limits",
    "assume-safe": "assume a node safe",
    "maintenance": "expect a node to be away",
    "certificate": "renew certificates",
    "tick": "move the clock",
    "clock": "set the clock",
}
"""What a refusal says for actions whose name is no verb, or says too little alone."""


def action_of(method: str, request: Any) -> str:  # noqa: ANN401
    """Return what the audit calls a call; `request` is None where it is not known."""
    rule = METHODS.get(method)
    return "call" if rule is None else rule.of(request).action


class Rights:
    """Decides by role and by what is granted; `grants` maps `ROLE:NAME` to names of batteries."""

    def __init__(self, grants: Mapping[str, Collection[str]]) -> None:
        self._grants = {who: frozenset(names) for who, names in grants.items()}

    def commanded(self, identity: Identity) -> frozenset[str] | None:
        """Return the batteries it may set and book; None for all of them."""
        if identity.role is Role.ADMIN:
            return None
        granted = self._grants.get(identity.holder)
        if granted is None:
            return None if identity.role is Role.OPERATOR else frozenset()
        return None if ALL in granted else granted

    def seen(self, identity: Identity) -> frozenset[str] | None:
        """Return the batteries it may read; None for all of them."""
        return self.commanded(identity) if identity.role in _NAMED else None

    def granted_to(self, holder: str) -> frozenset[str] | None:
        """Return the batteries that are granted to `ROLE:NAME`; None for all of them."""
        granted = self._grants.get(holder, frozenset())
        return None if ALL in granted else granted

    def check(self, method: str, identity: Identity, request: Any) -> None:  # noqa: ANN401
        """Raise NotAllowedError unless the caller may make this call, naming who, what, and what it would need."""
        rule = METHODS.get(method)
        if rule is None:
            raise NotAllowedError(f"{identity.holder} may not call {method}: it is in no table of rights", who=identity.holder)
        rule = rule.of(request)
        if identity.role not in _ROLES[rule.need]:
            role = _ASK_FOR[rule.need]
            raise NotAllowedError(
                f"{identity.holder} may not {_DOES.get(rule.action, rule.action)}: that needs the role {role}",
                who=identity.holder,
                role=role,
            )
        if rule.need in (Need.ANY, Need.READ_ALL, Need.SESSION, Need.NODES, Need.RENEW, Need.ADMIN) or request is None:
            return
        self._check_names(rule, identity, request)

    def _check_names(self, rule: Rule, identity: Identity, request: Any) -> None:  # noqa: ANN401
        names = rule.names(request)
        granted = self.commanded(identity) if rule.need in (Need.SET, Need.GRANT) else self.seen(identity)
        if granted is None:
            return
        if rule.need is Need.STOP and (request.node or request.all):
            raise NotAllowedError(
                f"{identity.holder} may stop only what is granted to it: name batteries; all needs the role operator",
                who=identity.holder,
                role="operator",
            )
        if denied := [name for name in names if name not in granted]:
            shown = ", ".join(denied[:8])
            raise NotAllowedError(
                f"{identity.holder} may not {rule.action} {shown}: not granted to it in [security.grants]",
                who=identity.holder,
                names=",".join(denied[:100]),
            )
