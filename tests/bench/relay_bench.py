"""`make bench`: how much a relay of this tree costs, measured on the demo.

It prints answers per second, and what to compare between two revisions: the CPU time that the relay's own processes spend on an
answer and on a thousand chunks of a stream. Those hardly depend on what else the machine does; the rates do, and here they are also
limited by the built-in upstream and by this client, which share the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
TICK = os.sysconf("SC_CLK_TCK")
WORDS = "one two three four five six seven eight nine ten " * 6


@dataclass(frozen=True, slots=True)
class Relay:
    """A running demo: its port and the processes that are the relay."""

    process: subprocess.Popen[str]
    port: int

    def pids(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [self.process.pid, *(int(pid) for pid in children if "monorelay.demo" not in command_line(pid))]

    def cpu(self) -> float:
        """Seconds of CPU that the relay has spent so far."""
        spent = 0
        for pid in self.pids():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            spent += int(fields[11]) + int(fields[12])
        return spent / TICK

    def memory(self) -> float:
        """Megabytes, each shared page counted in parts."""
        rolled = (Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines() for pid in self.pids())
        return sum(int(line.split()[1]) for lines in rolled for line in lines if line.startswith("Pss:")) / 1024


def command_line(pid: str) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")


def start() -> Relay:
    command = [sys.executable, "-m", "monorelay", "demo", "--listen", "127.0.0.1:0"]
    process = subprocess.Popen(command, cwd=TOP, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if "listening on" in line:
            break
    else:
        sys.exit("the demo did not start")
    # Whatever it logs from here on is read by nobody who would count it.
    subprocess.Popen(["cat"], stdin=process.stderr, stdout=subprocess.DEVNULL)
    return Relay(process, int(line.split("http://127.0.0.1:")[1].split(" ")[0]))


def request(port: int, *, stream: bool) -> bytes:
    body = json.dumps({"model": "demo", "stream": stream, "messages": [{"role": "user", "content": WORDS}]}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer sk-demo\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def one_answer(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        sys.exit(head.decode())
    (length,) = (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    await reader.readexactly(length)
    return 1


async def one_stream(reader: asyncio.StreamReader) -> int:
    """The number of its events."""
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        sys.exit(head.decode())
    events = 0
    while size := int((await reader.readline()).strip(), 16):
        events += (await reader.readexactly(size + 2)).count(b"data: ")
    await reader.readline()
    return events


async def drive(
    port: int, connections: int, seconds: float, payload: bytes, one: Callable[[asyncio.StreamReader], Awaitable[int]]
) -> int:
    """What all connections together counted in that time."""
    end = time.monotonic() + seconds

    async def connection() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        counted = 0
        while time.monotonic() < end:
            writer.write(payload)
            counted += await one(reader)
        writer.close()
        return counted

    return sum(await asyncio.gather(*(connection() for _ in range(connections))))


def measure(relay: Relay, name: str, connections: int, seconds: float, *, stream: bool) -> None:
    cpu, began = relay.cpu(), time.monotonic()
    counted = asyncio.run(
        drive(relay.port, connections, seconds, request(relay.port, stream=stream), one_stream if stream else one_answer)
    )
    took, spent = time.monotonic() - began, relay.cpu() - cpu
    print(f"{name:12} {connections:5} connections  {counted / took:8.0f}/s  {spent / counted * 1e6:6.0f} µs CPU each", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each line of the result (%(default)s)")
    parser.add_argument("--connections", type=int, default=64, help="at the same time (%(default)s)")
    options = parser.parse_args()
    relay = start()
    try:
        measure(relay, "warming up", 8, 1.0, stream=False)
        measure(relay, "answers", options.connections, options.seconds, stream=False)
        measure(relay, "chunks", options.connections, options.seconds, stream=True)
        print(f"memory       {relay.memory():.1f} MB")
    finally:
        relay.process.terminate()
        relay.process.wait()


if __name__ == "__main__":
    main()
