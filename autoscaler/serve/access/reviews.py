"""What only the API server can say: whose token this is, and what a user may do."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autoscaler.clock import Clock
from autoscaler.serve.access.remembered import Remembered, Unavailable
from autoscaler.serve.access.users import User, authenticated
from autoscaler.serve.metrics_api.ports import Attributes
from autoscaler.units import format_duration

if TYPE_CHECKING:
    from autoscaler.kube.client import KubeClient

# As the delegating authorizer of k8s.io/apiserver does: both answers for 10 s.
REMEMBER = 10.0
DEADLINE = 3.0
SIZE = 4096
# Reviews of each kind under way: a flood of made-up tokens must not become one at the API server,
# and must not keep those waiting who are known already.
AT_ONCE = 32
TOKEN_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"  # noqa: S105 -- a path
ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


@dataclass(frozen=True, slots=True)
class Verdict:
    allowed: bool
    reason: str


class Reviews:
    """Both calls raise Unavailable where the API server does not answer in time."""

    def __init__(self, client: KubeClient, clock: Clock) -> None:
        self._client = client
        self._tokens: Remembered[bytes, User | None] = Remembered(clock, REMEMBER, SIZE)
        self._access: Remembered[tuple[User, Attributes], Verdict] = Remembered(
            clock, REMEMBER, SIZE
        )
        self._slots = {path: asyncio.Semaphore(AT_ONCE) for path in (TOKEN_REVIEWS, ACCESS_REVIEWS)}
        self.made = 0  # asked of the API server so far, for telemetry

    async def user_of(self, token: str) -> User | None:
        """None for a token that the API server does not accept."""
        # Remembered by digest: the memory of this process holds nobody's credentials.
        digest = hashlib.sha256(token.encode()).digest()
        return await self._tokens.get(digest, lambda: self._review_token(token))

    async def verdict(self, user: User, attributes: Attributes) -> Verdict:
        return await self._access.get(
            (user, attributes), lambda: self._review_access(user, attributes)
        )

    async def _review_token(self, token: str) -> User | None:
        status = await self._post(TOKEN_REVIEWS, "authentication", "TokenReview", {"token": token})
        if not status.get("authenticated"):
            return None
        user = status.get("user") or {}
        if not user.get("username"):
            return None
        extra = user.get("extra") or {}
        return authenticated(
            User(
                user["username"],
                user.get("uid") or "",
                tuple(user.get("groups") or ()),
                tuple((key, tuple(values)) for key, values in sorted(extra.items())),
            )
        )

    async def _review_access(self, user: User, attributes: Attributes) -> Verdict:
        fields = {
            "group": attributes.group,
            "version": attributes.version,
            "resource": attributes.resource,
            "subresource": attributes.subresource,
            "name": attributes.name,
            "namespace": attributes.namespace,
            "verb": attributes.verb,
        }
        spec = {
            "user": user.name,
            "uid": user.uid,
            "groups": list(user.groups),
            "extra": {key: list(values) for key, values in user.extra},
            "resourceAttributes": {key: value for key, value in fields.items() if value},
        }
        status = await self._post(ACCESS_REVIEWS, "authorization", "SubjectAccessReview", spec)
        words = [status.get("reason"), status.get("evaluationError")]
        reason = "; ".join(str(word) for word in words if word)
        return Verdict(bool(status.get("allowed")) and not status.get("denied"), reason)

    async def _post(self, path: str, group: str, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
        from autoscaler.kube.client import KubeError

        body = {"apiVersion": f"{group}.k8s.io/v1", "kind": kind, "spec": spec}
        self.made += 1
        try:
            async with asyncio.timeout(DEADLINE), self._slots[path]:
                answer = await self._client.request("POST", path, body=body, within=DEADLINE)
        except TimeoutError:
            limit = format_duration(DEADLINE)
            raise Unavailable(f"no {kind} within {limit}: the API server is slow") from None
        except KubeError as error:
            remedy = ""
            if error.status in {401, 403}:
                remedy = "; bind ClusterRole system:auth-delegator to our service account"
            raise Unavailable(f"no {kind}: {error}{remedy}") from error
        status = answer.get("status") if isinstance(answer, dict) else None
        if not isinstance(status, dict):
            raise Unavailable(f"no {kind}: the API server answered without a status")
        return status
