"""Load on an installed relay, while it is reloaded and upgraded: ``python3 packaging/load.py URL KEY``, until SIGTERM.

Clients of three kinds: on kept connections, with a connection for each request, and with streams. Whatever is not answered in full
is a failure; nothing is tried again. At the end one line of JSON says how many requests there were, and how each failure looked.
"""

from __future__ import annotations

import collections
import http.client
import json
import signal
import sys
import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

EACH = 4  # clients of each kind
PAUSE = 0.01  # seconds between two requests of a client: the machine has other work, too
LIMIT = 60.0  # seconds without a byte


class Load:
    """Mutable: the counts, by the clients' threads under the lock."""

    def __init__(self, url: str, key: str) -> None:
        self.address = urlsplit(url).netloc
        self.headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self.stopped = threading.Event()
        self._lock = threading.Lock()
        self.done: collections.Counter[str] = collections.Counter()
        self.failures: collections.Counter[str] = collections.Counter()
        self.slowest = 0.0

    def run(self) -> dict[str, object]:
        kinds = {"kept": self.on_a_kept_connection, "new": self.on_a_new_connection, "streams": self.a_stream}
        threads = [threading.Thread(target=self.again, args=item) for item in kinds.items() for _ in range(EACH)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        failures = sum(self.failures.values())
        return {**self.done, "failed": failures, "failures": self.failures, "slowest_ms": round(self.slowest * 1000)}

    def again(self, kind: str, ask: Callable[[http.client.HTTPConnection], None]) -> None:
        """One client, over and over. A kept connection lives until it fails."""
        connection = self.connect()
        while not self.stopped.is_set():
            began = time.monotonic()
            try:
                ask(connection)
            except (OSError, http.client.HTTPException, ValueError) as error:
                with self._lock:
                    self.failures[f"{kind}: {type(error).__name__}: {error}"] += 1
                connection.close()
            with self._lock:
                self.done[kind] += 1
                if kind != "streams":
                    self.slowest = max(self.slowest, time.monotonic() - began)
            time.sleep(PAUSE)
        connection.close()

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.address, timeout=LIMIT)

    def on_a_kept_connection(self, connection: http.client.HTTPConnection) -> None:
        self.post(connection, {"model": "demo", "messages": [{"role": "user", "content": "Hello"}]})

    def on_a_new_connection(self, connection: http.client.HTTPConnection) -> None:
        connection.close()
        self.on_a_kept_connection(connection)

    def a_stream(self, connection: http.client.HTTPConnection) -> None:
        words = "a stream of quite some words, so that it is under way while things change, and must still come to its end"
        text = self.post(connection, {"model": "demo", "stream": True, "messages": [{"role": "user", "content": words}]})
        if not text.rstrip().endswith(b"data: [DONE]"):
            raise ValueError(f"the stream was cut after {len(text)} bytes")

    def post(self, connection: http.client.HTTPConnection, body: dict[str, object]) -> bytes:
        connection.request("POST", "/v1/chat/completions", json.dumps(body).encode(), self.headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise ValueError(f"{answer.status} {text[:200]!r}")
        return text


if __name__ == "__main__":
    load = Load(*sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda number, frame: load.stopped.set())
    print(json.dumps(load.run()), flush=True)
