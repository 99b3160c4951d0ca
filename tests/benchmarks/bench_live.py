"""How fast the live leg is, beside a bare reader of the same websocket that only decodes.

    python -m tests.benchmarks.bench_live [--events 300000] [--firehose]

The server floods from a process of its own; what is measured is kept to one core, and to the time it had of it.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import multiprocessing
import os
import resource
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import dlt
import msgspec
from atproto import CAR, parse_subscribe_repos_message
from atproto_subscription.frames import Frame, MessageFrame  # type: ignore[import-untyped]
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from pipelines.lake.bucket import PROJECT_ROOT, use_lake_filesystems, use_project_settings
from pipelines.network.firehose import Firehose
from pipelines.network.jetstream import Jetstream
from pipelines.sample.days import evening
from pipelines.sample.stream_events import StreamEvent
from pipelines.sample.world import World
from pipelines.sources.micro_batches import BatchLimits, MicroBatches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection


def frames(kind: str, first: int, count: int) -> Iterator[bytes]:
    """Write events of the sample world, over and over, each with a number of its own."""
    world = list(World().events(evening(-400), evening(10)))
    for number in range(first, first + count):
        event = StreamEvent(number, world[number % len(world)])
        yield event.firehose if kind == "firehose" else event.jetstream_v2


def serve(kind: str, count: int, pace: float, ready: Connection) -> None:
    """Send `count` frames to whoever connects, as fast as they are read, or at a pace."""
    payloads = [_websocket_frame(frame) for frame in frames(kind, 1, min(count, 22_000))]

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.split(": ", 1) for line in request.split("\r\n")[1:] if ": " in line)
        if "Sec-WebSocket-Key" not in headers:
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            return
        digest = hashlib.sha1(f"{headers['Sec-WebSocket-Key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
        protocol = "Sec-WebSocket-Protocol: xrpc.v1.json\r\n" if kind == "jetstream" else ""
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + f"{protocol}Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}\r\n\r\n".encode()
        )
        sent, begun = 0, time.monotonic()
        while sent < count:
            chunk = payloads[sent % len(payloads) : sent % len(payloads) + 200][: count - sent]
            writer.write(b"".join(chunk))
            sent += len(chunk)
            await writer.drain()
            if pace:
                await asyncio.sleep(max(0.0, begun + sent / pace - time.monotonic()))
        await reader.read()

    async def run() -> None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def _websocket_frame(payload: bytes) -> bytes:
    opcode = 0x81 if payload.startswith(b"{") else 0x82
    if len(payload) < 126:
        return bytes([opcode, len(payload)]) + payload
    if len(payload) < 65_536:
        return bytes([opcode, 126]) + len(payload).to_bytes(2, "big") + payload
    return bytes([opcode, 127]) + len(payload).to_bytes(8, "big") + payload


def bare(kind: str, url: str, count: int, decode: Callable[[bytes], object]) -> float:
    """Read and decode, and nothing else; events a second of one core."""
    protocols = [Subprotocol("xrpc.v1.json")] if kind == "jetstream" else None

    async def read() -> float:
        async with connect(url, compression=None, subprotocols=protocols, max_size=None) as connection:
            begun = time.process_time()
            for _ in range(count):
                decode(await connection.recv(decode=False))
            return count / (time.process_time() - begun)

    return asyncio.run(read())


def sdk_loop(data: bytes) -> object:
    """Read a frame as the SDK does, with the records of its commit."""
    message = parse_subscribe_repos_message(cast("MessageFrame", Frame.from_bytes(data)))
    blocks = getattr(message, "blocks", None)
    return CAR.from_bytes(blocks) if isinstance(blocks, bytes) else message


def live(kind: str, url: str, count: int) -> tuple[float, float, float]:
    """Run the live leg to Parquet.

    Returns:
        Events a second by the clock, events a second of one core's work, and the share of a core.
    """
    folder = Path(tempfile.mkdtemp())
    (folder / ".dlt").mkdir()
    shutil.copy(PROJECT_ROOT / ".dlt" / "config.toml", folder / ".dlt")
    os.environ |= {"DLT_PROJECT_DIR": str(folder), "DLT_DATA_DIR": str(folder / "dlt")}
    use_project_settings()
    use_lake_filesystems()
    feed = Jetstream(url, dids=None) if kind == "jetstream" else Firehose(url, dids=None)
    batches = MicroBatches(dlt.pipeline(f"bluesky_{kind}"), feed, BatchLimits(60.0, 50_000))
    is_over = threading.Event()

    def watch() -> None:
        while batches.run.event_count < count:
            time.sleep(0.05)
        is_over.set()

    threading.Thread(target=watch, daemon=True).start()
    cpu, begun = time.process_time(), time.perf_counter()
    batches.load_until(is_over, seconds=None, until_caught_up=False)
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    shutil.rmtree(folder)
    assert batches.run.loaded_count == count
    return count / seconds, count / cpu, cpu / seconds


def measure(kind: str, count: int, pace: float, work: Callable[[str], object]) -> object:
    """Do something against a server of its own."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(kind, count, pace, theirs), daemon=True)
    server.start()
    try:
        return work(f"ws://127.0.0.1:{ours.recv()}")
    finally:
        server.kill()


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--firehose", action="store_true")
    options = parser.parse_args()
    kind = "firehose" if options.firehose else "jetstream"
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[0]})
    decode = sdk_loop if options.firehose else msgspec.json.Decoder().decode
    reader: Any = measure(kind, options.events // 5, 0, lambda url: bare(kind, url, options.events // 5, decode))
    flood: Any = measure(kind, options.events, 0, lambda url: live(kind, url, options.events))
    clock, rate, _ = flood
    quiet = 40_000
    paced: Any = measure(kind, quiet, 2_000, lambda url: live(kind, url, quiet))
    _, _, share = paced
    name = "the SDK's own loop" if options.firehose else "a bare reader that decodes"
    print(f"{name}: {reader:,.0f} events a second of one core")
    print(f"{kind} to Parquet: {rate:,.0f} events a second of one core, {rate / reader:.2f} of that")
    print(f"by the clock, on one core that others may use too: {clock:,.0f}")
    print(f"at 2,000 events a second: {share:.0%} of a core")
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")


if __name__ == "__main__":
    main()
