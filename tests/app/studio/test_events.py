import asyncio
import json
import threading

import pytest

from sfumato.app.studio import events as module
from sfumato.app.studio.events import MOST_WAITING, RING, Events


def parsed(chunks: bytes) -> list[tuple[str | None, str, object]]:
    """Id, name and data of the events in a stream."""
    out = []
    for block in chunks.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":"))
        if "event" in fields:
            out.append((fields.get("id"), fields["event"], json.loads(fields["data"])))
    return out


async def all_of(stream) -> list:
    """The events of a stream that ends."""
    return parsed(b"".join([chunk async for chunk in stream]))


def replayed(events: Events, last: str | None) -> list:
    async def go():
        stream = events.subscribe(last)
        await anext(stream)
        return await all_of(stream)

    events.close()
    return [(name, data) for _, name, data in asyncio.run(go())]


def test_everybody_hears_everything_in_order_from_any_thread():
    async def go():
        events = Events()
        streams = [events.subscribe() for _ in range(3)]
        assert events.clients == 3
        listening = [asyncio.create_task(all_of(stream)) for stream in streams]
        await asyncio.sleep(0)

        def tell():
            for k in range(100):
                events.publish("run", {"id": k, "title": "a\nb\r\u2028 ü"})
            events.close()

        thread = threading.Thread(target=tell)
        thread.start()
        heard = await asyncio.gather(*listening)
        thread.join()
        assert events.clients == 0
        return heard

    heard = asyncio.run(go())
    for each in heard:
        assert [data["id"] for _, _, data in each] == list(range(100))
        assert each[0][2]["title"] == "a\nb\r\u2028 ü"
        numbers = [int(id_.split("-")[1]) for id_, _, _ in each]
        assert numbers == sorted(set(numbers))


def test_a_client_that_comes_back_gets_what_it_missed():
    events = Events()
    events.publish("run", {"id": 1, "state": "queued"}, "1 queued")
    events.publish("preview", {"step": 1}, "1")
    last = f"{events._server}-2"
    events.publish("preview", {"step": 2}, "1")
    events.publish("run", {"id": 1, "state": "running", "done": 1}, "1 running")
    events.publish("run", {"id": 1, "state": "running", "done": 2}, "1 running")
    events.publish("picture", {"id": 4})
    events.publish("preview", {"step": 3}, "1")
    events.publish("run", {"id": 1, "state": "done"}, "1 done")
    assert replayed(events, last) == [
        ("run", {"id": 1, "state": "running", "done": 2}),
        ("picture", {"id": 4}),
        ("preview", {"step": 3}),
        ("run", {"id": 1, "state": "done"}),
    ]
    assert replayed(events, f"{events._server}-8") == []
    assert replayed(events, None) == []
    events.forget("preview", "1")
    assert "preview" not in [name for name, _ in replayed(events, last)]


@pytest.mark.parametrize("last", ["0-3", "", "x", "-", "{}-", "{}-9999", "{}-x", "{}-" + "9" * 5000, "{}-²"])
def test_who_had_events_of_another_server_is_told_to_ask_again(last):
    async def go():
        events = Events()
        events.publish("run", {})
        stream = events.subscribe(last.format(events._server))
        greeting = await anext(stream)
        await stream.aclose()
        return parsed(greeting), events._server

    (told,), server = asyncio.run(go())
    assert told == (f"{server}-1", "missed", {})


def test_the_ring_is_bounded_and_says_when_something_fell_out():
    events = Events()
    for k in range(RING + 10):
        events.publish("run", k)
    assert len(events._ring) == RING
    assert [data for _, data in replayed(events, f"{events._server}-10")] == list(range(10, RING + 10))
    assert replayed(events, f"{events._server}-9") == []

    async def greeting():
        stream = events.subscribe(f"{events._server}-9")
        first = await anext(stream)
        await stream.aclose()
        return first

    assert b"event: missed" in asyncio.run(greeting())


def test_a_slow_client_loses_previews_and_no_state():
    async def go():
        events = Events()
        stream = events.subscribe()
        for k in range(MOST_WAITING):
            events.publish("preview", k, f"run {k % 30}")
            events.publish("training", k, "31")
            if k % 2:
                events.publish("run", k)
                events.publish("picture", k)
        events.close()
        return await all_of(stream)

    heard = asyncio.run(go())
    odd = list(range(1, MOST_WAITING, 2))
    assert [data for _, name, data in heard if name == "run"] == odd
    assert [data for _, name, data in heard if name == "picture"] == odd
    assert [data for _, name, data in heard if name == "preview"] == []  # there were too many others
    assert len(heard) <= MOST_WAITING


def test_a_hopeless_client_is_sent_away_and_comes_back_for_the_rest():
    async def go():
        events = Events()
        stream, quick = events.subscribe(), events.subscribe()
        for k in range(MOST_WAITING + 1):
            events.publish("run", k, str(k % 3))
        heard = await anext(stream)
        for k in range(MOST_WAITING + 1):
            events.publish("run", k)
        assert events.clients == 0
        rest = await all_of(stream)
        assert await all_of(quick) == []
        return heard, rest

    heard, rest = asyncio.run(go())
    assert b"retry: 1000" in heard
    assert rest == []


def test_silence_is_broken_by_a_comment(monkeypatch):
    monkeypatch.setattr(module, "HEARTBEAT", 0.01)

    async def go():
        stream = Events().subscribe()
        chunks = [await anext(stream) for _ in range(3)]
        await stream.aclose()
        return chunks

    assert asyncio.run(go())[1:] == [b": still here\n\n"] * 2


def test_who_leaves_is_forgotten_and_so_is_one_whose_loop_has_ended():
    events = Events()

    async def leave():
        stream = events.subscribe()
        task = asyncio.create_task(all_of(stream))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def vanish():
        events.subscribe()

    asyncio.run(leave())
    assert events.clients == 0
    asyncio.run(vanish())
    assert events.clients == 1
    events.publish("run", 1)
    assert events.clients == 0


def test_what_is_no_json_is_refused_before_anybody_hears_it():
    events = Events()
    with pytest.raises(ValueError, match="Out of range float"):
        events.publish("run", float("nan"))
    assert replayed(events, f"{events._server}-0") == []
