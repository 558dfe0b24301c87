"""The pull: pieces, halves, what is kept, what is said when it goes wrong."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from autoscaler.observe.answer import QueryError
from autoscaler.observe.query_api import Access
from autoscaler.observe.triton import SUCCESS
from autoscaler.sim.backtest.cache import Cache
from autoscaler.sim.backtest.chunks import MOST_POINTS, Chunk, chunks
from autoscaler.sim.backtest.findings import BacktestError
from autoscaler.sim.backtest.gather import Request, Telling, Watch, pulled_history
from autoscaler.sim.backtest.probe import probe
from autoscaler.sim.backtest.pull import SILENT, Progress, pull
from autoscaler.sim.backtest.questions import Question, selector
from autoscaler.sim.backtest.range_api import WORKERS, RangeApi
from tests.unit.sim.backtest.past import (
    POLICY,
    START,
    STEP,
    TARGET,
    Answering,
    Asked,
    Series,
    line,
    matrix,
    pod,
    prometheus,
    recorded,
    refused,
)

NEEDED = Question("completions", "up", needed=True)
OPTIONAL = Question("replicas", "kube", needed=False)
DAY = 86400


@contextmanager
def pulling(answer: Answering, cache: Path | None = None) -> Iterator[tuple[RangeApi, Asked]]:
    with prometheus(answer) as (url, asked):
        api = RangeApi(Access(url), Cache(cache), timeout=10.0)
        try:
            yield api, asked
        finally:
            api.close()


def one_a_step(query: str, start: int, end: int, step: int) -> tuple[int, bytes]:
    return 200, matrix([({"pod": query}, [(t, t % 1000) for t in range(start, end + 1, step)])])


# --- pieces ----------------------------------------------------------------------------------


def test_fourteen_days_at_fifteen_seconds_are_eight_or_nine_pieces() -> None:
    pieces = chunks(START, START + 14 * DAY, STEP)
    assert len(pieces) in (8, 9)
    assert all(piece.points <= MOST_POINTS for piece in pieces)
    assert [t for p in pieces for t in range(p.start, p.end + 1, STEP)] == list(
        range(START, START + 14 * DAY + 1, STEP)
    )


def test_pieces_of_another_range_are_the_same_but_for_the_ends() -> None:
    one = chunks(START, START + 14 * DAY, STEP)
    tomorrow = chunks(START + DAY, START + 15 * DAY, STEP)
    assert set(one[2:-1]) <= set(tomorrow)  # the first one of tomorrow is cut, too


def test_many_series_make_shorter_pieces() -> None:
    few, many = chunks(START, START + DAY, STEP, 10), chunks(START, START + DAY, STEP, 1000)
    assert len(few) <= 2 < len(many)


def test_halves_cover_the_whole_and_end_at_some_length() -> None:
    first, second = Chunk(START, START + 1000 * STEP, STEP).halves() or pytest.fail("no halves")
    assert (first.start, second.end) == (START, START + 1000 * STEP)
    assert second.start == first.end + STEP
    assert Chunk(START, START + 500 * STEP, STEP).halves() is None


# --- what comes back -------------------------------------------------------------------------


def test_pieces_are_joined_in_order() -> None:
    with pulling(one_a_step) as (api, asked):
        found, said = pull(api, [NEEDED], START, START + 3 * DAY, STEP, 1)
    (steps, values), *more = found["completions"].series.values()
    assert list(steps) == list(range(START // STEP, (START + 3 * DAY) // STEP + 1))
    assert list(values[:2]) == [START % 1000, (START + STEP) % 1000]
    assert (more, said) == ([], [])
    assert len(asked.queries) >= 2


def test_a_piece_that_is_too_much_is_asked_for_in_halves() -> None:
    def answer(query: str, start: int, end: int, step: int) -> tuple[int, bytes]:
        if end - start > 6 * 3600:
            return 422, refused("execution", "query processing would load too many samples")
        return one_a_step(query, start, end, step)

    with pulling(answer) as (api, _):
        found, said = pull(api, [NEEDED], START, START + DAY, STEP, 1)
    (steps, _), *_ = found["completions"].series.values()
    assert list(steps) == list(range(START // STEP, (START + DAY) // STEP + 1))
    assert said == []


def test_a_needed_piece_that_fails_names_place_reason_and_remedy_and_keeps_the_rest(
    tmp_path: Path,
) -> None:
    whole = chunks(START, START + 6 * DAY, STEP)
    broken = {whole[1].start}

    def answer(query: str, start: int, end: int, step: int) -> tuple[int, bytes]:
        if start in broken:
            return 400, refused("bad_data", "no such thing")
        return one_a_step(query, start, end, step)

    with pulling(answer, tmp_path) as (api, asked):
        with pytest.raises(BacktestError) as told:
            pull(api, [NEEDED], START, START + 6 * DAY, STEP, 1)
        assert told.value.place.startswith("completions, 2023-11-1")
        assert "bad_data: no such thing" in told.value.reason
        kept = f"{len(whole) - 1} of {len(whole)} pieces are pulled and kept"
        assert kept in told.value.remedy
        broken.clear()
        asked.queries.clear()
        found, _ = pull(api, [NEEDED], START, START + 6 * DAY, STEP, 1)
    assert [query[1] for query in asked.queries] == [whole[1].start]  # only what was lacking
    (steps, _), *_ = found["completions"].series.values()
    assert len(steps) == 6 * DAY // STEP + 1


def test_what_is_not_needed_is_done_without() -> None:
    def answer(query: str, start: int, end: int, step: int) -> tuple[int, bytes]:
        if query == "kube":
            return 400, refused("bad_data", "unknown function")
        return one_a_step(query, start, end, step)

    with pulling(answer) as (api, _):
        found, said = pull(api, [NEEDED, OPTIONAL], START, START + DAY, STEP, 1)
    assert found["replicas"].series == {}
    assert "unknown function" in str(said[0])
    assert "done without" in str(said[0])


def test_a_partial_answer_is_no_answer() -> None:
    """Thanos warns when a store is away: a hole would read as no load."""

    def answer(*_: object) -> tuple[int, bytes]:
        return 200, matrix([], warnings=["store 10.0.0.1 is unreachable"])

    with pulling(answer) as (api, _), pytest.raises(BacktestError, match="partial answer: store"):
        pull(api, [NEEDED], START, START + 3600, STEP, 1)


def test_a_server_that_stumbles_is_asked_again() -> None:
    fallen: list[int] = []

    def answer(query: str, start: int, end: int, step: int) -> tuple[int, bytes]:
        if not fallen:
            fallen.append(start)
            return 500, refused("internal", "compacting")
        return one_a_step(query, start, end, step)

    with pulling(answer) as (api, asked):
        pull(api, [NEEDED], START, START + 3600, STEP, 1)
    assert len(asked.queries) == 2


def test_a_server_that_is_away_says_so(tmp_path: Path) -> None:
    api = RangeApi(Access("http://127.0.0.1:9"), Cache(tmp_path), timeout=5.0)
    try:
        with pytest.raises(BacktestError, match=r"no connection to http://127\.0\.0\.1:9"):
            pull(api, [NEEDED], START, START + 3600, STEP, 1)
    finally:
        api.close()


def test_a_limit_on_series_is_not_asked_again_in_shorter_pieces() -> None:
    """As Mimir says it; no piece is so short that it has fewer series."""
    text = "the query exceeded the maximum number of series (limit: 5000 series)"

    def answer(*_: object) -> tuple[int, bytes]:
        return 422, refused("execution", text)

    with pulling(answer) as (api, asked):
        with pytest.raises(BacktestError, match=r"limit: 5000 series.*have that limit raised"):
            pull(api, [NEEDED], START, START + 3 * DAY, STEP, 1)
        assert len(asked.queries) == len(chunks(START, START + 3 * DAY, STEP))


def test_a_server_that_hangs_up_half_way_is_given_up_and_what_came_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autoscaler.sim.backtest.range_api.TRIES", 1)
    whole = chunks(START, START + 60 * DAY, STEP)
    there, came, release = {p.start for p in whole[:8]}, threading.Event(), threading.Event()
    hung_up = iter(range(SILENT))

    def answer(query: str, start: int, end: int, step: int) -> tuple[int, bytes]:
        if start not in there:
            came.wait(30)
            if next(hung_up, None) is None:
                release.wait(5)  # so many in a row: nobody should ask for the others
            raise ConnectionError  # closes without an answer
        return one_a_step(query, start, end, step)

    def tell(now: Progress) -> None:
        if now.done == 8:
            came.set()

    with pulling(answer, tmp_path) as (api, asked):
        with pytest.raises(BacktestError) as told:
            pull(api, [NEEDED], START, START + 60 * DAY, STEP, 1, tell)
        assert f"8 of {len(whole)} pieces are pulled and kept" in told.value.remedy
        assert len(asked.queries) <= 8 + SILENT + WORKERS
        release.set()
        there.update(piece.start for piece in whole)
        asked.queries.clear()
        pull(api, [NEEDED], START, START + 60 * DAY, STEP, 1)
        assert len(asked.queries) == len(whole) - 8


def test_an_answer_that_drips_is_cut_at_its_deadline() -> None:
    """A byte now and then keeps every socket timeout from passing."""
    stop, patient = threading.Event(), list[bool]()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            line, _ = server.accept()
            with line, contextlib.suppress(OSError):
                line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
                for _ in range(200):
                    stop.wait(0.05)
                    line.sendall(b" ")
                patient.append(True)

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        api = RangeApi(
            Access(f"http://127.0.0.1:{server.getsockname()[1]}"), Cache(None), timeout=0.4
        )
        try:
            with pytest.raises(QueryError, match=r"no answer in time \(0\.4s\)"):
                api.range("up", Chunk(START, START + 60, STEP))
        finally:
            api.close()
            stop.set()
            thread.join()
    assert not patient


def test_more_series_than_fit_is_said_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autoscaler.sim.backtest.pull.MOST_SAMPLES", 100)
    with (
        pulling(one_a_step) as (api, _),
        pytest.raises(BacktestError, match=r"more series than fit into memory; .*--last 3d"),
    ):
        pull(api, [NEEDED], START, START + 3600, STEP, 1)


def test_more_series_than_fit_is_said_before_they_are_pulled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("autoscaler.sim.backtest.gather.MOST_SAMPLES", 300)
    with prometheus(recorded(pod("bert-0", 100, -330, 3600))) as (url, asked):
        request = Request((POLICY,), Access(url), START, START + 3600)
        with pytest.raises(BacktestError, match="1 series at a time, about 0 million samples"):
            pulled_history(request, Telling(), Watch())
    assert not any(query.startswith(SUCCESS) for query, *_ in asked.queries)


def test_progress_counts_pieces_and_those_from_disk(tmp_path: Path) -> None:
    told: list[tuple[int, int, int]] = []

    def tell(now: Progress) -> None:
        told.append((now.done, now.of, now.cached))

    with pulling(one_a_step, tmp_path) as (api, asked):
        pull(api, [NEEDED], START, START + 3 * DAY, STEP, 1, tell)
        done, of, cached = told[-1]
        assert (done, cached) == (of, 0)
        before = len(asked.queries)
        pull(api, [NEEDED], START, START + 3 * DAY, STEP, 1, tell)
        assert len(asked.queries) == before
    assert told[-1] == (of, of, of)


def test_an_interrupted_pull_goes_on_where_it_was(tmp_path: Path) -> None:
    whole = chunks(START, START + 12 * DAY, STEP)
    quick, release = {piece.start for piece in whole[:2]}, threading.Event()

    def answer(query: str, start: int, end: int, step: int) -> tuple[int, bytes]:
        if start not in quick:
            release.wait(30)
        return one_a_step(query, start, end, step)

    def interrupt(now: Progress) -> None:
        if now.done == 2:
            raise KeyboardInterrupt

    with prometheus(answer) as (url, asked):
        api = RangeApi(Access(url), Cache(tmp_path))
        with pytest.raises(KeyboardInterrupt):
            pull(api, [NEEDED], START, START + 12 * DAY, STEP, 1, interrupt)
        api.close()  # cuts what is under way
        assert [len(list(tmp_path.rglob(f"*.{end}"))) for end in ("gz", "part")] == [2, 0]
        release.set()
        asked.queries.clear()
        api = RangeApi(Access(url), Cache(tmp_path))
        pull(api, [NEEDED], START, START + 12 * DAY, STEP, 1)
        api.close()
        assert (api.cached, api.asked) == (2, len(whole) - 2)


# --- the cache -------------------------------------------------------------------------------


def test_the_cache_tells_ranges_and_steps_apart(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.write({"query": "up", "start": 0, "step": 15}, b"one")
    assert cache.read({"query": "up", "start": 0, "step": 15}) == b"one"
    assert cache.read({"query": "up", "start": 0, "step": 30}) is None
    assert cache.read({"query": "up", "start": 15, "step": 15}) is None


@pytest.mark.parametrize("harm", [b"", b"not gzip", gzip.compress(b"{}\nother")])
def test_a_file_that_is_cut_short_or_not_ours_counts_as_none(tmp_path: Path, harm: bytes) -> None:
    cache = Cache(tmp_path)
    cache.write({"query": "up"}, b"body")
    (file,) = tmp_path.rglob("*.gz")
    file.write_bytes(harm)
    assert cache.read({"query": "up"}) is None
    cache.write({"query": "up"}, b"body")
    assert cache.read({"query": "up"}) == b"body"


def test_a_folder_that_cannot_be_written_is_said_and_does_not_stop(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = Cache(tmp_path / "file" / "cache")
    cache.write({"query": "up"}, b"body")
    assert cache.problem is not None
    assert "cannot be written" in cache.problem
    assert cache.read({"query": "up"}) is None


def test_what_was_scraped_just_now_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = float(START + DAY)
    monkeypatch.setattr("autoscaler.sim.backtest.range_api.time.time", lambda: now)
    with pulling(one_a_step, tmp_path) as (api, _):
        api.range("up", Chunk(START, START + DAY - 700, STEP))
        assert len(list(tmp_path.rglob("*.gz"))) == 1
        api.range("up", Chunk(START, START + DAY, STEP))
    assert len(list(tmp_path.rglob("*.gz"))) == 1


def test_the_cache_holds_no_credentials(tmp_path: Path) -> None:
    with prometheus(one_a_step) as (url, _):
        address = url.removeprefix("http://")
        api = RangeApi(Access(f"http://me:secret@{address}"), Cache(tmp_path))
        try:
            api.range("up", Chunk(START - DAY * 300, START - DAY * 300 + 60, STEP))
        finally:
            api.close()
    (file,) = tmp_path.rglob("*.gz")
    assert b"secret" not in gzip.decompress(file.read_bytes())


# --- the probe -------------------------------------------------------------------------------


def test_the_probe_finds_the_scrape_interval() -> None:
    with pulling(recorded(pod("bert-0", 100, -330, 7200))) as (api, _):
        found = probe(api, TARGET, START, START + 7200)
    assert (found.step, found.interval, found.series) == (STEP, STEP, 1)
    assert found.findings == ()


def test_no_triton_at_all_asks_for_the_right_prometheus() -> None:
    with (
        pulling(recorded([])) as (api, _),
        pytest.raises(BacktestError, match=r"no nv_inference_request_success at all; is this"),
    ):
        probe(api, TARGET, START, START + 3600)


def test_labels_that_name_no_pod_are_shown() -> None:
    other = Series(
        "completions",
        "",
        line(1, -330, 3600),
        {"pod": "", "namespace": "", "kubernetes_pod_name": "bert-0"},
    )
    with pulling(recorded([other])) as (api, _), pytest.raises(BacktestError) as told:
        probe(api, TARGET, START, START + 3600)
    assert 'kubernetes_pod_name="bert-0"' in told.value.reason
    assert "relabel so that namespace and pod name the pod" in told.value.remedy


def test_labels_renamed_half_way_are_told_with_their_time() -> None:
    before = Series("completions", "", line(1, -330, 7200), {"pod": "", "kubernetes_pod": "x"})
    after = pod("bert-0", 100, 7200, 14400)
    with pulling(recorded([before, *after])) as (api, _):
        found = probe(api, TARGET, START, START + 14400)
    (finding,) = found.findings
    assert "labels were renamed" in finding.reason
    assert finding.start is not None
    assert finding.end is not None
    assert finding.start == pytest.approx(START, abs=60)
    assert finding.end == pytest.approx(START + 7200, abs=60)


def test_a_name_with_a_dot_is_no_pattern() -> None:
    from autoscaler.model import Target

    assert selector(Target("ns", "a.b-c")) == 'namespace="ns",pod=~"a\\\\.b-c-.+"'
