"""Policies while running: all or nothing, and the last good set stays."""

from __future__ import annotations

from pathlib import Path

from autoscaler.model import Policy
from autoscaler.policy import PolicySet, Problem
from autoscaler.run.fingerprint import fingerprint
from autoscaler.run.reload import Reloader
from tests.unit.decide.fleets import POLICY
from tests.unit.run.world import named

WRONG = Problem("unknown-field", "error", "a.yaml", 3, 1, 2, "unknown field", "remove it")


def found(policies: tuple[Policy, ...], digest: str, *problems: Problem) -> PolicySet:
    return PolicySet(policies, problems, digest, files=1, documents=1)


class Folder:
    """A folder whose next contents the story writes."""

    def __init__(self) -> None:
        self.found = found((POLICY,), "one")
        self.loads = 0

    def load(self) -> PolicySet:
        self.loads += 1
        return self.found

    def fingerprint(self, _: PolicySet) -> str:
        return self.found.hash


def reloader(folder: Folder) -> Reloader:
    return Reloader(folder.load, folder.fingerprint, lambda: 7.0, folder.found)


def test_the_same_contents_are_not_read_again() -> None:
    folder = Folder()
    policies = reloader(folder)
    policies.check()
    assert folder.loads == 0
    policies.check(force=True)
    assert folder.loads == 1


def test_an_edit_into_nonsense_keeps_the_last_good_set_until_it_is_mended() -> None:
    folder = Folder()
    policies = reloader(folder)
    folder.found = found((), "two", WRONG)
    status = policies.check()
    assert policies.policies == (POLICY,)
    assert (status.good, status.hash, status.tried_hash) == (False, "one", "two")
    assert status.errors == ("a.yaml:3: unknown field",)
    policies.check()
    assert folder.loads == 1  # nonsense is not parsed again on every tick
    folder.found = found((named("iris"),), "three")
    assert policies.check().good
    assert [policy.name for policy in policies.policies] == ["iris"]


def test_going_back_to_what_runs_clears_the_alarm() -> None:
    folder = Folder()
    policies = reloader(folder)
    good = folder.found
    folder.found = found((), "two", WRONG)
    policies.check()
    folder.found = good
    assert policies.check().good


def test_an_emptied_folder_is_an_accident_not_an_order() -> None:
    folder = Folder()
    policies = reloader(folder)
    folder.found = found((), "none")
    status = policies.check()
    assert policies.policies == (POLICY,)
    assert status.errors == ("there is no policy in it",)


def test_a_configmap_mount_that_swaps_its_link_is_noticed(tmp_path: Path) -> None:
    """kubernetes#24215: the files are links into ..data, and their times stay."""
    for version in ("one", "two"):
        (tmp_path / f"..{version}").mkdir()
        (tmp_path / f"..{version}" / "p.yaml").write_text(version)
    (tmp_path / "..data").symlink_to("..one")
    (tmp_path / "p.yaml").symlink_to("..data/p.yaml")
    before = fingerprint([tmp_path])
    assert fingerprint([tmp_path]) == before
    (tmp_path / "..data").unlink()
    (tmp_path / "..data").symlink_to("..two")
    assert fingerprint([tmp_path]) != before


def test_moving_text_from_one_file_to_the_next_is_a_change(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("xy")
    (tmp_path / "b.yaml").write_text("")
    before = fingerprint([tmp_path])
    (tmp_path / "a.yaml").write_text("x")
    (tmp_path / "b.yaml").write_text("y")
    assert fingerprint([tmp_path]) != before


def test_a_file_that_comes_back_is_a_change(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("x")
    before = fingerprint([tmp_path])
    (tmp_path / "a.yaml").rename(tmp_path / "kept")
    gone = fingerprint([tmp_path])
    assert gone != before
    (tmp_path / "kept").rename(tmp_path / "a.yaml")
    assert fingerprint([tmp_path]) == before


def test_an_edited_profile_is_a_change(tmp_path: Path) -> None:
    profile = tmp_path / "flower.csv"
    profile.write_text("1")
    before = fingerprint([], [profile])
    profile.write_text("2")
    assert fingerprint([], [profile]) != before
