"""How fast the live job is, beside a bare reader of the same websocket that only decodes.

    python -m tests.benchmarks.bench_live [--events 300000] [--rounds 3]
    python -m tests.benchmarks.bench_live --firehose [--kaskada PYTHON]
    python -m tests.benchmarks.bench_live --memory [--events 5000000]

One core floods, another is measured, by the clock; each way in a new process, one after the other, round after round:

- `bare`: `websockets`, and each frame decoded to dictionaries.
- `sdk` (for the firehose): the SDK's client, and each commit's blocks decoded, as its examples do.
- `kaskada`: Kaskada's example, a tenth of the events, by a Python that has it: see kaskada_example.py.
- `live`: the live job, from the websocket to Parquet files in the lake.

Then the share of a core at 2,000 events a second: the whole network has about so many.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import multiprocessing
import os
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from pipelines.sample.streams.events import StreamEvent
from pipelines.sample.world.days import evening
from pipelines.sample.world.world import World

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from atproto_subscription.frames import MessageFrame  # type: ignore[import-untyped]

NETWORK_PACE: Final = 2_000
MILLION: Final = 1_000_000
_CORES: Final = sorted(os.sched_getaffinity(0))
_processes: Final = multiprocessing.get_context("spawn")


@dataclass
class Measure:
    """What a process did.

    Attributes:
        count: Events.
        seconds: By the clock.
        cpu_seconds: Of one core.
        peaks: Most memory, in MiB, during each million of events.
    """

    count: int
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peaks: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.count / self.seconds

    @property
    def share(self) -> float:
        """Share of a core."""
        return self.cpu_seconds / self.seconds


@contextmanager
def measured(measure: Measure) -> Iterator[None]:
    """Measure what the block does."""
    cpu, begun = time.process_time(), time.perf_counter()
    yield
    measure.seconds, measure.cpu_seconds = time.perf_counter() - begun, time.process_time() - cpu


def bare(kind: str, url: str, measure: Measure) -> None:
    """Read and decode, and nothing else."""
    decode = msgspec.json.Decoder().decode

    async def read() -> None:
        async with connect(url, compression=None, subprotocols=[Subprotocol("xrpc.v1.json")]) as connection:
            with measured(measure):
                for _ in range(measure.count):
                    decode(await connection.recv(decode=False))

    del kind
    asyncio.run(read())


def sdk(kind: str, url: str, measure: Measure) -> None:
    """Read the firehose as the SDK's examples do."""
    from atproto import CAR, FirehoseSubscribeReposClient, models, parse_subscribe_repos_message  # noqa: PLC0415

    client, left = FirehoseSubscribeReposClient(base_uri=f"{url}/xrpc"), measure.count

    def receive(message: MessageFrame) -> None:
        nonlocal left
        commit = parse_subscribe_repos_message(message)
        if isinstance(commit, models.ComAtprotoSyncSubscribeRepos.Commit):
            assert isinstance(commit.blocks, bytes)
            CAR.from_bytes(commit.blocks)
        left -= 1
        if not left:
            client.stop()

    del kind
    with measured(measure):
        client.start(receive)
    assert not left


def live(kind: str, url: str, measure: Measure) -> None:
    """Run the live job to Parquet."""
    import dlt  # noqa: PLC0415

    from pipelines.events.firehose import Firehose  # noqa: PLC0415
    from pipelines.events.jetstream import Jetstream  # noqa: PLC0415
    from pipelines.lake.bucket import PROJECT_ROOT, use_project_settings  # noqa: PLC0415
    from pipelines.lake.filesystems import use_lake_filesystems  # noqa: PLC0415
    from pipelines.sources.micro_batches import BatchLimits, MicroBatches  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder, ".dlt")
        settings.mkdir()
        shutil.copy(PROJECT_ROOT / ".dlt" / "config.toml", settings)
        os.environ |= {"DLT_PROJECT_DIR": folder, "DLT_DATA_DIR": f"{folder}/dlt"}
        use_project_settings()
        use_lake_filesystems()
        feed = Jetstream(url, dids=None) if kind == "jetstream" else Firehose(url, dids=None)
        batches = MicroBatches(dlt.pipeline(f"bluesky_{kind}"), feed, BatchLimits(60.0, 50_000))
        is_over = threading.Event()

        def watch() -> None:
            while (count := batches.run.event_count) < measure.count:
                _note_memory(measure.peaks, count // MILLION)
                time.sleep(0.05)
            is_over.set()

        threading.Thread(target=watch, daemon=True).start()
        with measured(measure):
            batches.load_until(is_over, seconds=None, until_caught_up=False)
        assert batches.run.loaded_count == measure.count


def _note_memory(peaks: list[float], million: int) -> None:
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    peaks += [0.0] * (million + 1 - len(peaks))
    peaks[million] = max(peaks[million], resident)


Way = Callable[[str, str, Measure], None]
WAYS: Final[dict[str, Way]] = {"bare": bare, "sdk": sdk, "live": live}


def run_kaskada(python: str, count: int) -> Measure:
    """Let Kaskada's example read the firehose."""
    with _server("firehose", count, 0) as url:
        script = Path(__file__).with_name("kaskada_example.py")
        command = ["taskset", "--cpu-list", str(_CORES[0]), python, str(script), url, str(count)]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return Measure(count, float(done.stdout))


def _act(way: str, kind: str, url: str, count: int, told: Connection) -> None:
    os.sched_setaffinity(0, {_CORES[0]})
    measure = Measure(count)
    WAYS[way](kind, url, measure)
    told.send(measure)


def measure_way(way: str, kind: str, count: int, pace: int = 0) -> Measure:
    """Let a process of its own read `count` events from a server of its own, as fast as it can or at a pace."""
    ours, theirs = _processes.Pipe()
    with _server(kind, count, pace) as url:
        actor = _processes.Process(target=_act, args=(way, kind, url, count, theirs))
        actor.start()
        theirs.close()  # So that its end is seen, should it fail.
        measure: Measure = ours.recv()
        actor.join()
    return measure


@contextmanager
def _server(kind: str, count: int, pace: int) -> Iterator[str]:
    ours, theirs = _processes.Pipe()
    server = _processes.Process(target=serve, args=(kind, count, pace, theirs), daemon=True)
    server.start()
    try:
        yield f"ws://127.0.0.1:{ours.recv()}"
    finally:
        server.kill()


def frames(kind: str) -> list[bytes]:
    """Write the events of the sample world."""
    world = World().events(evening(-400), evening(10))
    events = [StreamEvent(number, event) for number, event in enumerate(world, start=1)]
    return [event.firehose if kind == "firehose" else event.jetstream_v2 for event in events]


def serve(kind: str, count: int, pace: int, told: Connection) -> None:
    """Send `count` frames to whoever connects: the sample world's, over and over."""
    os.sched_setaffinity(0, {_CORES[-1]})
    payloads = [_websocket_frame(frame) for frame in frames(kind)]
    step = 200

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
        answering = asyncio.create_task(_answer_pings(reader, writer))
        begun = time.monotonic()
        for sent in range(0, count, step):
            at = sent % (len(payloads) - step)
            writer.write(b"".join(payloads[at : at + min(step, count - sent)]))
            await writer.drain()
            if pace:
                await asyncio.sleep(max(0.0, begun + sent / pace - time.monotonic()))
        await answering

    async def run() -> None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


async def _answer_pings(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer what a client asks in between: it takes a server that says nothing for dead."""
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            opcode, length = await reader.readexactly(2)
            mask = await reader.readexactly(4)
            payload = await reader.readexactly(length & 0x7F)
            if opcode == 0x89:
                payload = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
                writer.write(bytes([0x8A, len(payload)]) + payload)


def _websocket_frame(payload: bytes) -> bytes:
    opcode = 0x81 if payload.startswith(b"{") else 0x82
    if len(payload) < 126:
        return bytes([opcode, len(payload)]) + payload
    if len(payload) < 65_536:
        return bytes([opcode, 126]) + len(payload).to_bytes(2, "big") + payload
    return bytes([opcode, 127]) + len(payload).to_bytes(8, "big") + payload


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--firehose", action="store_true")
    parser.add_argument("--kaskada", metavar="PYTHON")
    parser.add_argument("--memory", action="store_true")
    options = parser.parse_args()
    kind = "firehose" if options.firehose else "jetstream"
    if options.memory:
        measure = measure_way("live", kind, options.events or 5 * MILLION)
        peaks = ", ".join(f"{peak:,.0f}" for peak in measure.peaks)
        print(f"most memory in each million of {measure.count:,} events: {peaks} MiB")
        return
    count = options.events or 300_000
    other = "sdk" if options.firehose else "bare"
    rounds = [{way: measure_way(way, kind, count) for way in (other, "live")} for _ in range(options.rounds)]
    for way in (other, "live"):
        rates = sorted(one[way].rate for one in rounds)
        print(f"{way:>5}: {statistics.median(rates):,.0f} events a second ({rates[0]:,.0f} to {rates[-1]:,.0f})")
    ratio = statistics.median(one["live"].rate / one[other].rate for one in rounds)
    print(f"ratio: {ratio:.2f}")
    if options.kaskada:
        print(f"kaskada: {run_kaskada(options.kaskada, count // 10).rate:,.0f} events a second")
    paced = measure_way("live", kind, 20 * NETWORK_PACE, NETWORK_PACE)
    print(f"at {NETWORK_PACE:,} events a second: {paced.share:.0%} of a core")


if __name__ == "__main__":
    main()
