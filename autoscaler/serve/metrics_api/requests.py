"""What a request asks for: from its target (path and query) to a plan, without looking at data.

The attributes are those that the API server itself reads from a path (RequestInfo), so that RBAC
written for it means the same here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias
from urllib.parse import parse_qsl, unquote

from autoscaler.serve.metrics_api.answers import Query
from autoscaler.serve.metrics_api.catalog import CUSTOM, EXTERNAL
from autoscaler.serve.metrics_api.documents import VERSIONS, Form
from autoscaler.serve.metrics_api.lookups import ALL, Question
from autoscaler.serve.metrics_api.ports import Attributes
from autoscaler.serve.metrics_api.selectors import EVERYTHING, Selector, SelectorError, parse

Kind: TypeAlias = Literal["health", "discovery", "values", "decision", "nothing"]
HEALTH = ("healthz", "livez", "readyz")
POLICIES = "policies"  # the resource that a decision is, for RBAC
MAX_SEGMENT = 253  # the longest name that Kubernetes has
MAX_PARAMETERS = 16
NO_PATH = "the server could not find the requested resource"

_CUSTOM_FORMS: dict[str, Form] = {"v1beta1": "custom/v1beta1", "v1beta2": "custom/v1beta2"}


class Refused(Exception):  # noqa: N818 -- an answer, not a fault
    """A request that no data could answer: 400."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`attributes` is None for what is not a resource. `query` is that of `values`, `names` the
    rest of the path: the group and version of discovery, the key of a decision.
    """

    kind: Kind
    attributes: Attributes | None = None
    query: Query | None = None
    names: tuple[str, ...] = ()


NOTHING = Plan("nothing")


def read(target: str) -> Plan:
    """`/apis/…/pods/%2A/queue_us?labelSelector=app%3Dd`; raises Refused for a bad selector."""
    path, _, query = target.partition("?")
    segments = _segments(path)
    match segments:
        case [("healthz" | "livez" | "readyz") as probe]:
            return Plan("health", names=(probe,))
        case ["apis", *names] if len(names) <= 2:
            return Plan("discovery", names=tuple(names))
        case ["apis", group, version, *rest] if version in VERSIONS.get(group, ()):
            return _values(group, version, rest, query)
        case ["v1", "policies", namespace, name]:
            return Plan(
                "decision",
                Attributes(CUSTOM, "v1beta2", POLICIES, "", name, namespace, "get"),
                names=(namespace, name),
            )
        case _:
            return NOTHING


def _segments(path: str) -> list[str] | None:
    """Split first and decode then: a %2F is no separator."""
    if not path.startswith("/"):
        return None
    raw = path[1:].split("/")
    if len(raw) > 1 and raw[-1] == "":
        raw.pop()  # kubectl get --raw /apis/custom.metrics.k8s.io/v1beta1/
    found = [unquote(segment) for segment in raw]
    if any(not one or "/" in one or len(one) > MAX_SEGMENT for one in found):
        return None
    return found


def _values(group: str, version: str, rest: Sequence[str], query: str) -> Plan:
    scope = _scope(group, rest)
    if scope is None:
        return NOTHING
    namespace, resource, name, metric, (of, sub, named, verb) = scope
    attributes = Attributes(group, version, of, sub, named, namespace, verb)
    given = _parameters(query)
    objects = _selector(given, "labelSelector")
    if group == EXTERNAL:
        question = Question(namespace, resource, name, metric, series=objects)
        return Plan("values", attributes, Query("external/v1beta1", question))
    series = _selector(given, "metricLabelSelector", echoed=True)
    if name != ALL:
        objects = EVERYTHING  # a name selects already
    question = Question(namespace, resource, name, metric, objects, series)
    return Plan("values", attributes, Query(_CUSTOM_FORMS[version], question))


# namespace, resource, name, metric; then what RBAC sees: resource, subresource, name, verb
_Scope: TypeAlias = tuple[str, str, str, str, tuple[str, str, str, str]]


def _scope(group: str, rest: Sequence[str]) -> _Scope | None:
    match (group, *rest):
        case (_, "namespaces", namespace, metric) if group == EXTERNAL:
            return namespace, "", ALL, metric, (metric, "", "", "list")
        case (_, "namespaces", namespace, "metrics", metric) if group == CUSTOM:
            return namespace, "namespaces", namespace, metric, ("metrics", "", metric, "get")
        case (_, "namespaces", namespace, metric) if group == CUSTOM:
            return namespace, "namespaces", namespace, metric, (metric, "", "", "list")
        case (_, "namespaces", namespace, resource, name, metric) if group == CUSTOM:
            return namespace, resource, name, metric, (resource, metric, name, "get")
        case (_, resource, name, metric) if group == CUSTOM:
            return "", resource, name, metric, (resource, metric, name, "get")
        case _:
            return None


def _parameters(query: str) -> dict[str, str]:
    """The first of each name, as Go's Query().Get."""
    if not query:
        return {}
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        raise Refused(f"more than {MAX_PARAMETERS} parameters in the query") from None
    found: dict[str, str] = {}
    for name, value in pairs:
        found.setdefault(name, value)
    return found


def _selector(given: dict[str, str], name: str, echoed: bool = False) -> Selector:
    text = given.get(name, "")
    if not text:
        return EVERYTHING
    try:
        selector = parse(text)
        if echoed:
            selector.as_label_selector()
    except SelectorError as error:
        raise Refused(f"{name}: {error}") from None
    return selector


# --- Accept ----------------------------------------------------------------------------------

Wants: TypeAlias = Literal["json", "aggregated", "other"]


@lru_cache(maxsize=256)
def wants(accept: str) -> Wants:
    """`json` where plain JSON will do; `aggregated` where only aggregated discovery will.

    The HPA sends `application/vnd.kubernetes.protobuf, */*`; kubectl get --raw `application/json,
    */*`; the aggregator, on /apis, only `application/json;…;as=APIGroupDiscoveryList`.
    """
    aggregated = False
    for entry in accept.split(",") if accept.strip() else ("*/*",):
        media, *parameters = (part.strip().lower() for part in entry.split(";"))
        if media not in ("application/json", "application/*", "*/*"):
            continue
        if any(part.startswith("as=") for part in parameters):
            aggregated = aggregated or "as=apigroupdiscoverylist" in parameters
        elif not any(part in ("q=0", "q=0.0", "q=0.00", "q=0.000") for part in parameters):
            return "json"
    return "aggregated" if aggregated else "other"
