"""One policy on its way through the checks: the document, its text and what it refers to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from autoscaler.policy.diagnostics import Finding, Problem
from autoscaler.policy.documents import Document, Spec
from autoscaler.policy.profile import Profile, ProfileError, parse_profile
from autoscaler.policy.source import Tree, problem_at

ReadProfile = Callable[[str, str], str]  # (policy file, profile path) → text; raises OSError


@dataclass(frozen=True)
class Entry:
    """`scrape_interval` is in seconds; `read_profile` resolves paths relative to the file."""

    file: str
    tree: Tree
    document: Document
    scrape_interval: float
    read_profile: ReadProfile

    @property
    def spec(self) -> Spec:
        return self.document.spec

    @property
    def namespace(self) -> str:
        """Of the policy: its own, else the target's, else `default`."""
        return self.document.metadata.namespace or self.spec.target.namespace or "default"

    @property
    def target_namespace(self) -> str:
        return self.spec.target.namespace or self.namespace

    @cached_property
    def profile(self) -> Profile | ProfileError | None:
        """The measured loads; what is wrong with them; None where no profile is named."""
        path = self.spec.capacity.profile if self.spec.capacity else None
        if path is None:
            return None
        try:
            return parse_profile(self.read_profile(self.file, path))
        except ProfileError as error:
            return error
        except UnicodeError:
            return ProfileError("is not UTF-8 text", "save perf_analyzer's CSV as it is")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            return ProfileError(
                f"cannot be read: {reason}", "give its path from this file's folder"
            )

    def problem(self, check: str, finding: Finding) -> Problem:
        mark = self.tree.mark(finding.route, finding.on_key)
        return problem_at(check, self.file, mark, finding.message, finding.remedy)
