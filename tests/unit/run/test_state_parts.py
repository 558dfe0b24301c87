"""States of a thousand policies in ConfigMaps of bounded size, moved without being lost."""

from __future__ import annotations

import base64
import gzip
import json
import random
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.model import (
    Arrival,
    Bracket,
    ColdStart,
    ForecastMemory,
    Guess,
    LoadAt,
    PeakGuess,
    PeakMemory,
    Recent,
    Recommendation,
    ScaleEvent,
    Score,
    Season,
    State,
    Written,
)
from autoscaler.run import state_parts
from autoscaler.run.state import Remembered
from autoscaler.run.state_configmap import MOST_PARTS
from autoscaler.run.state_parts import (
    NewerPart,
    Part,
    PartDocument,
    UnreadablePart,
    decoded,
    encoded,
    place,
)
from autoscaler.wire import to_json

NOW = 1_795_248_926.123456


def full(rng: random.Random) -> State:
    """As long as states get: eight sizes wished, ten steps up and down, 32 cold starts, 16 pods on
    their way, every forecast, with a weekly season.
    """

    def at() -> float:
        return NOW - rng.uniform(0, 3600)

    def took() -> float:
        return rng.uniform(0, 300)

    def load() -> float:
        return round(rng.uniform(0, 30), 3)

    def guess() -> PeakGuess:
        inputs = tuple(round(rng.uniform(-3, 3), 3) for _ in range(6))
        return PeakGuess(round(at(), 1), load(), load(), inputs, load(), round(at(), 1))

    return State(
        recommendations=tuple(Recommendation(at(), size) for size in range(8)),
        scale_ups=tuple(ScaleEvent(at(), 1) for _ in range(10)),
        scale_downs=tuple(ScaleEvent(at(), 1) for _ in range(10)),
        scaled_at=at(),
        replicas=7,
        serving=7,
        joined_at=at(),
        calm_since=at(),
        written=Written(at(), 7),
        cold_starts=tuple(ColdStart(at(), took(), took(), took()) for _ in range(32)),
        arrivals=tuple(Arrival(f"model-server-{took()}", at()) for _ in range(16)),
        bracket=Bracket(took(), at(), at(), took(), at()),
        forecast=ForecastMemory(
            lately=tuple(LoadAt(round(at(), 1), load()) for _ in range(20)),
            season=Season(tuple(load() for _ in range(168)), 497_000, load(), 240),
            guesses=tuple(Guess(round(at(), 1), load(), load(), load()) for _ in range(13)),
            trend_score=Score(*(round(took(), 6) for _ in range(5))),
            season_score=Score(*(round(took(), 6) for _ in range(5))),
            peak=PeakMemory(
                Recent(round(at(), 1), load(), load(), load(), load()),
                tuple(round(took() / 100, 6) for _ in range(6)),
                tuple(round(took(), 9) for _ in range(6)),
                tuple(guess() for _ in range(13)),
                Score(*(round(took(), 6) for _ in range(5))),
            ),
        ),
    )


def fleet(policies: int) -> dict[str, Remembered]:
    rng = random.Random(1)
    return {
        f"team-{number % 40}/model-server-{number}": Remembered(NOW, full(rng))
        for number in range(policies)
    }


def stored(documents: list[PartDocument]) -> list[int]:
    """Bytes of each ConfigMap's content."""
    return [sum(map(len, next(iter(encoded(one).values())).values())) for one in documents]


def test_a_thousand_policies_with_full_histories_fit_the_parts_that_a_role_can_name() -> None:
    states = fleet(1000)
    placed = place([Part()], states)
    sizes = stored([PartDocument(policies, len(placed.policies)) for policies in placed.policies])
    assert len(sizes) <= MOST_PARTS
    assert max(sizes) < 700_000
    assert {key for part in placed.policies for key in part} == set(states)


def test_the_worst_digits_there_are_still_fit() -> None:
    rng = random.Random(2)
    entries = tuple(
        Recommendation(rng.random() * 1e17, rng.randrange(10**9)) for _ in range(22_500)
    )
    document = PartDocument({"a": Remembered(NOW, State(recommendations=entries))})
    assert len(to_json(document)) > 0.9 * state_parts.PART_BYTES
    assert stored([document])[0] < 700_000


@pytest.mark.parametrize("policies", [0, 1, 200])
def test_what_is_written_is_read_again(policies: int) -> None:
    document = PartDocument(fleet(policies), parts=3, ahead=-1.5)
    content = encoded(document)
    assert decoded({"metadata": {}} | content) == document
    assert list(content) == (["binaryData"] if policies > 9 else ["data"]), "small: for people"


def test_a_new_config_map_holds_nothing_and_a_foreign_one_is_refused() -> None:
    assert decoded({"metadata": {}}) is None
    with pytest.raises(UnreadablePart, match="other things"):
        decoded({"data": {"policies.yaml": "x"}})


PACKED = base64.b64encode(gzip.compress(b'{"version":1,"policies":{}}')).decode()


@pytest.mark.parametrize(
    "content",
    [
        {"data": {"state.json": ""}},
        {"data": {"state.json": "{"}},
        {"data": {"state.json": "[]"}},
        {"data": {"state.json": '{"version":1}'}},
        {"data": {"state.json": '{"version":1,"policies":{"a":{"at":1}}}'}},
        {"data": {"state.json": '{"version":1,"policies":{},"surprise":1}'}},
        {"binaryData": {"state.json.gz": "%%%"}},
        {"binaryData": {"state.json.gz": base64.b64encode(b"no gzip").decode()}},
        {"binaryData": {"state.json.gz": PACKED[:20]}},
    ],
)
def test_what_is_broken_is_never_nothing(content: Mapping[str, object]) -> None:
    with pytest.raises(UnreadablePart):
        decoded(content)


def test_a_newer_version_is_told_from_a_broken_one() -> None:
    with pytest.raises(NewerPart, match="version 2"):
        decoded({"data": {"state.json": '{"version": 2, "what": "ever"}'}})


# --- placing ---------------------------------------------------------------------------------


def entry(size: int, at: float = NOW) -> Remembered:
    """A state of about so many bytes of JSON."""
    return Remembered(at, State(recommendations=(Recommendation(NOW, 1),) * (size // 35)))


def written(*parts: Mapping[str, Remembered]) -> list[Part]:
    return [Part(dict(part), len(parts), {"name": str(n)}) for n, part in enumerate(parts)]


def test_one_policy_that_changes_touches_one_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_parts, "PART_BYTES", 10_000)
    monkeypatch.setattr(state_parts, "FILLED_BYTES", 7_500)
    states = {f"p{number}": entry(1000) for number in range(30)}
    placed = place([Part()], states)
    assert len(placed.policies) > 3
    before = written(*placed.policies)
    again = place(before, states | {"p7": entry(1000, at=NOW + 5)})
    changed = [n for n, part in enumerate(again.policies) if part != before[n].policies]
    assert len(changed) == 1


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_save_that_breaks_off_anywhere_loses_no_policy(data: st.DataObject) -> None:
    """Policies come, go and grow; each save is broken off after some of its parts; whoever reads
    then finds every policy that was there before, in its old or its new form."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state_parts, "PART_BYTES", 4_000)
        patch.setattr(state_parts, "FILLED_BYTES", 3_000)
        parts = [Part()]
        cluster: dict[int, Part] = {}
        known: dict[str, Remembered] = {}
        for step in range(data.draw(st.integers(1, 8))):
            names = data.draw(st.sets(st.integers(0, 11)))
            wanted = {
                f"p{name}": entry(data.draw(st.sampled_from([100, 900, 2500])), at=NOW + step)
                for name in names
            }
            placed = place(parts, wanted)
            assert sorted(key for part in placed.policies for key in part) == sorted(wanted)
            parts += [Part() for _ in range(len(placed.policies) - len(parts))]
            changed = [
                number
                for number in placed.order
                if parts[number].policies != placed.policies[number]
                or (number == 0 and parts[0].parts != len(placed.policies))
                or not parts[number].exists
            ]
            stop = data.draw(st.integers(0, len(changed)))
            for number in changed[:stop]:
                count = len(placed.policies) if number == 0 else 1
                parts[number] = Part(dict(placed.policies[number]), count, {"n": number})
                cluster[number] = parts[number]
            found = read(cluster)
            kept = {key for key in known if key in wanted}
            assert kept <= set(found), "a policy was lost in a move"
            assert all(found[key].at >= known[key].at for key in kept), "an older state came back"
            if stop == len(changed):
                assert found == wanted
                known = wanted
            else:
                known = {key: value for key, value in found.items() if key in known}
                parts = reread(cluster)


def read(cluster: Mapping[int, Part]) -> dict[str, Remembered]:
    found: dict[str, Remembered] = {}
    for part in reread(cluster):
        for key, kept in part.policies.items():
            if key not in found or kept.at >= found[key].at:
                found[key] = kept
    return found


def reread(cluster: Mapping[int, Part]) -> list[Part]:
    """As a new leader reads: part 0 says how many there are; others are not looked at."""
    if 0 not in cluster:
        return [Part()]
    return [cluster[number] for number in range(cluster[0].parts)]


def test_a_part_is_plain_json_while_a_person_can_read_it() -> None:
    content = encoded(PartDocument(fleet(2)))
    assert json.loads(content["data"]["state.json"])["version"] == 1
