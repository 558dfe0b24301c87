"""Which files a path stands for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from autoscaler.policy import load
from tests.unit.policy.texts import checks, policy_text


def write(path: Path, name: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(policy_text(name=name))


def test_folders_are_read_deeply_in_order_and_only_yaml(tmp_path: Path) -> None:
    write(tmp_path / "b.yaml", "b")
    write(tmp_path / "a.yml", "a")
    write(tmp_path / "deep" / "er" / "c.yaml", "c")
    (tmp_path / "README.md").write_text("not a policy")
    found = load([tmp_path])
    assert [policy.name for policy in found.policies] == ["a", "b", "c"]
    assert found.files == 3


def test_a_config_map_mount_is_read_once_and_its_swap_changes_the_hash(tmp_path: Path) -> None:
    for version, limit in (("..2026_1", "7"), ("..2026_2", "8")):
        (tmp_path / version).mkdir()
        text = policy_text().replace("max: 7", f"max: {limit}")
        (tmp_path / version / "flower.yaml").write_text(text)
    (tmp_path / "..data").symlink_to("..2026_1")
    (tmp_path / "flower.yaml").symlink_to("..data/flower.yaml")
    before = load([tmp_path])
    assert [policy.replicas.max for policy in before.policies] == [7]
    (tmp_path / "swap").symlink_to("..2026_2")
    (tmp_path / "swap").rename(tmp_path / "..data")
    after = load([tmp_path])
    assert [policy.replicas.max for policy in after.policies] == [8]
    assert before.hash != after.hash


def test_a_touch_does_not_change_the_hash_a_rename_does(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", "a")
    first = load([tmp_path]).hash
    os.utime(tmp_path / "a.yaml", (1, 1))
    assert load([tmp_path]).hash == first
    (tmp_path / "a.yaml").rename(tmp_path / "b.yaml")
    assert load([tmp_path]).hash != first


def test_the_hash_is_the_same_wherever_the_folder_stands(tmp_path: Path) -> None:
    write(tmp_path / "here" / "a.yaml", "a")
    write(tmp_path / "there" / "a.yaml", "a")
    assert load([tmp_path / "here"]).hash == load([tmp_path / "there"]).hash


def test_links_in_circles_end(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", "a")
    for name in ("again", "and-again"):  # two: without a memory 2^40 folders are looked into
        (tmp_path / name).symlink_to(tmp_path)
    assert len(load([tmp_path]).policies) == 1


def test_a_file_given_twice_is_read_once(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", "a")
    assert len(load([tmp_path / "a.yaml", tmp_path]).policies) == 1


def test_an_empty_folder_is_an_error_not_an_empty_success(tmp_path: Path) -> None:
    found = load([tmp_path])
    assert checks(found) == ["no-policy"]
    assert not found.ok


def test_a_path_that_is_not_there_and_a_broken_link_are_problems(tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.yaml", "a")
    (tmp_path / "in" / "gone.yaml").symlink_to("nowhere.yaml")
    found = load([tmp_path / "nothing", tmp_path / "in"])
    assert checks(found) == ["unreadable", "unreadable"]
    assert "No such file" in found.problems[0].message


def test_a_pipe_in_a_folder_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    assert checks(load([tmp_path])) == ["unreadable"]


@pytest.mark.parametrize("extra", [0, 1])
def test_a_file_above_one_mebibyte_is_not_parsed(tmp_path: Path, extra: int) -> None:
    text = policy_text()
    (tmp_path / "a.yaml").write_text(text + "#" * (2**20 + extra - len(text)))
    assert checks(load([tmp_path])) == (["file-too-large"] if extra else [])


def test_utf_16_is_told_to_be_utf_8(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(policy_text().encode("utf-16"))
    (problem,) = load([tmp_path]).problems
    assert (problem.check, problem.line, problem.column) == ("encoding", 1, 1)
