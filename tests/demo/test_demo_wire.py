"""What the demo puts on the wire, read without any SDK: envelopes, framing, and everything that goes wrong on purpose."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

import monorelay.demo
from monorelay.demo import misbehaviour
from monorelay.demo.models import ANTHROPIC_MODELS, OPENAI_MODELS

SAID = [{"role": "user", "content": "one two three four"}]
OPENAI = {"Authorization": "Bearer sk-demo-up"}
ANTHROPIC = {"x-api-key": "sk-demo-up", "anthropic-version": "2023-06-01"}

# path: headers, body, the marker that ends a good stream
TALKING = {
    "/v1/chat/completions": (OPENAI, {"messages": SAID}, b"data: [DONE]\n\n"),
    "/v1/completions": (OPENAI, {"prompt": "one two three four"}, b"data: [DONE]\n\n"),
    "/v1/responses": (OPENAI, {"input": SAID}, b"event: response.completed\n"),
    "/v1/messages": (ANTHROPIC, {"messages": SAID, "max_tokens": 9_000}, b"event: message_stop\n"),
}
OTHERS = {
    "/v1/embeddings": (OPENAI, {"input": "a"}),
    "/v1/moderations": (OPENAI, {"input": "a"}),
    "/v1/rerank": (OPENAI, {"query": "a", "documents": ["a"]}),
    "/v1/audio/speech": (OPENAI, {"input": "a", "voice": "alloy"}),
    "/v1/images/generations": (OPENAI, {"prompt": "a"}),
    "/v1/messages/count_tokens": (ANTHROPIC, {"messages": SAID}),
}
EVERYWHERE = [*((path, *rest[:2]) for path, rest in TALKING.items()), *((path, *rest) for path, rest in OTHERS.items())]


class Answer:
    """A response, read to its end or to where it breaks."""

    def __init__(self, origin, path, headers, body=None, method=None, patience=10.0):
        connection = http.client.HTTPConnection(origin.removeprefix("http://"), timeout=patience)
        try:
            raw = None if body is None else json.dumps(body)
            connection.request(method or ("GET" if body is None else "POST"), path, raw, headers)
            response = connection.getresponse()
            self.status, self.headers, self.body, self.broke = response.status, response.headers, b"", None
            try:
                while piece := response.read1(65_536):
                    self.body += piece
                if response.length:
                    self.broke = "cut"
            except (http.client.HTTPException, ConnectionError):
                self.broke = "cut"
            except TimeoutError:
                self.broke = "stalled"
        finally:
            connection.close()

    @property
    def json(self):
        return json.loads(self.body)


def talk(demo, path, model, patience=10.0, **more):
    headers, body, marker = TALKING[path]
    return Answer(demo, path, headers, {**body, "model": model, **more}, patience=patience), marker


def assert_envelope(answer, path):
    """The error is spelled in the dialect of the path."""
    if path.startswith("/v1/messages"):
        assert answer.json["type"] == "error" and set(answer.json["error"]) == {"type", "message"}
        assert answer.json["request_id"] == answer.headers["request-id"]
    else:
        assert set(answer.json["error"]) == {"message", "type", "param", "code"}
        assert answer.headers["x-request-id"]


@pytest.mark.parametrize("path", TALKING)
def test_a_stream_is_events_to_the_end(demo, path):
    """A good stream is made of whole events, comes in pieces, and ends with its dialect's marker."""
    answer, marker = talk(demo, path, "some-model", stream=True)
    assert answer.status == 200 and answer.headers["content-type"].startswith("text/event-stream")
    assert answer.broke is None and answer.body.endswith(b"\n\n") and marker in answer.body
    events = answer.body.split(b"\n\n")[:-1]
    assert len(events) > 6
    for event in events:
        assert re.fullmatch(rb"(event: [a-z_.]+\n)?data: .+", event), event
    assert b'"some-model"' in answer.body


@pytest.mark.parametrize(("path", "headers", "body"), EVERYWHERE)
@pytest.mark.parametrize("model", misbehaviour.REFUSALS)
def test_refusals(demo, path, headers, body, model):
    """demo-429 and its like refuse on every endpoint with the status in their name, in the dialect's envelope."""
    answer = Answer(demo, path, headers, {**body, "model": model, "stream": True})
    assert answer.status == int(model.removeprefix("demo-"))
    assert_envelope(answer, path)
    assert answer.headers["retry-after"] == ("2" if answer.status == 429 else None)


@pytest.mark.parametrize(("path", "headers", "body"), EVERYWHERE)
def test_page_and_redirect(demo, path, headers, body):
    """demo-html is a 502 page that is no JSON; demo-redirect points to another host."""
    page = Answer(demo, path, headers, {**body, "model": "demo-html"})
    assert page.status == 502 and page.headers["content-type"] == "text/html" and b"<html>" in page.body
    redirect = Answer(demo, path, headers, {**body, "model": "demo-redirect"})
    assert redirect.status == 302 and redirect.headers["location"].startswith("http://elsewhere.invalid/")


@pytest.mark.parametrize(("path", "headers", "body"), EVERYWHERE)
def test_json_cut_and_stalled(demo, path, headers, body):
    """Without stream, demo-cut promises more bytes than it sends, and demo-stall never sends the second half."""
    assert Answer(demo, path, headers, {**body, "model": "demo-cut"}).broke == "cut"
    stalled = Answer(demo, path, headers, {**body, "model": "demo-stall"}, patience=0.2)
    assert stalled.broke == "stalled" and stalled.body


@pytest.mark.parametrize("path", TALKING)
def test_stream_cut_and_stalled(demo, path):
    """demo-cut ends a stream in the middle of an event; demo-stall goes silent after some whole events."""
    cut, marker = talk(demo, path, "demo-cut", stream=True)
    assert (cut.status, cut.broke) == (200, "cut")
    assert marker not in cut.body and not cut.body.endswith(b"\n\n") and b"You" in cut.body
    stalled, _ = talk(demo, path, "demo-stall", patience=0.2, stream=True)
    assert stalled.broke == "stalled" and stalled.body.endswith(b"\n\n") and b"You" in stalled.body


@pytest.mark.parametrize("path", TALKING)
def test_errors_inside_a_stream(demo, path):
    """demo-error fails before any content, demo-late-error after some; neither pretends to have finished."""
    for model, has_content in (("demo-error", False), ("demo-late-error", True)):
        answer, marker = talk(demo, path, model, stream=True)
        assert (answer.status, answer.broke) == (200, None)
        assert marker not in answer.body and b"broke off on purpose" in answer.body.split(b"\n\n")[-2]
        assert (b"You" in answer.body) is has_content


@pytest.mark.parametrize("path", TALKING)
def test_errors_without_a_stream(demo, path):
    """Without stream demo-error is a 500, and demo-late-error answers: whoever falls back from a broken stream gets there."""
    answer, _ = talk(demo, path, "demo-error")
    assert answer.status == 500
    assert_envelope(answer, path)
    answer, _ = talk(demo, path, "demo-late-error")
    assert answer.status == 200 and b"You said" in answer.body


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("path", TALKING)
def test_compressed_against_the_clients_will(demo, path, stream):
    """demo-gzip compresses although the client wants identity; what comes out is a good answer."""
    headers, body, marker = TALKING[path]
    asked = {**body, "model": "demo-gzip", "stream": stream}
    answer = Answer(demo, path, {**headers, "Accept-Encoding": "identity"}, asked)
    assert answer.headers["content-encoding"] == "gzip"
    plain = zlib.decompress(answer.body, wbits=31)
    assert b"You" in plain and (marker in plain) is stream


@pytest.mark.parametrize("path", TALKING)
def test_a_long_answer(demo, path):
    """demo-long says two thousand words, whole and streamed."""
    answer, _ = talk(demo, path, "demo-long")
    assert b"word1 word2 " in answer.body and b" word2000" in answer.body
    streamed, marker = talk(demo, path, "demo-long", stream=True)
    assert streamed.body.count(b"\n\n") > 2_000 and marker in streamed.body


def test_slowness(demo):
    """demo-slow takes its time before the first byte."""
    with pytest.raises(TimeoutError):
        talk(demo, "/v1/chat/completions", "demo-slow", patience=0.02)
    assert talk(demo, "/v1/chat/completions", "demo-slow")[0].status == 200


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/v1/chat/completions", {}, 401),
        ("/v1/chat/completions", {"Authorization": "Bearer "}, 401),
        ("/v1/chat/completions", {"Authorization": "Basic eDp4"}, 401),
        ("/v1/chat/completions", {"x-api-key": "sk"}, 401),
        ("/v1/chat/completions", {"Authorization": "bearer sk"}, 400),
        ("/v1/messages", {}, 401),
        ("/v1/messages", {"x-api-key": " "}, 401),
        ("/v1/messages", {"x-api-key": "sk"}, 400),
        ("/v1/messages", {"Authorization": "Bearer sk"}, 400),
    ],
)
def test_credentials(demo, path, headers, status):
    """Without its credential each dialect answers 401 in its envelope; with any non-empty one the body is looked at."""
    answer = Answer(demo, path, headers, {})
    assert answer.status == status
    assert_envelope(answer, path)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/chat/completions", [], 400),
        ("POST", "/v1/chat/completions", {"model": "demo"}, 400),
        ("POST", "/v1/chat/completions", {"messages": SAID}, 400),
        ("POST", "/v1/chat/completions", {"model": 7, "messages": SAID}, 400),
        ("POST", "/v1/chat/completions", {"model": "demo", "messages": SAID, "n": 9}, 400),
        ("POST", "/v1/responses", {"model": "demo", "input": 7}, 400),
        ("POST", "/v1/responses", {"model": "demo", "input": "a", "previous_response_id": "resp_x"}, 400),
        ("POST", "/v1/embeddings", {"model": "demo", "input": []}, 400),
        ("POST", "/v1/embeddings", {"model": "demo", "input": "a", "encoding_format": "int"}, 400),
        ("POST", "/v1/images/edits", {}, 400),
        ("POST", "/v1/files", {}, 400),
        ("POST", "/v1/batches", {"input_file_id": "file-x", "endpoint": "/v1/x", "completion_window": "24h"}, 400),
        ("GET", "/v1/files/file-x", None, 404),
        ("GET", "/v1/responses/resp_x", None, 404),
        ("GET", "/v1/threads/thread_x/messages", None, 404),
        ("GET", "/v1/models/nobody", None, 404),
        ("GET", "/v1/nowhere", None, 404),
        ("GET", "/v1/chat/completions", None, 405),
        ("POST", "/v1/messages", {"model": "demo-claude", "messages": SAID}, 400),
        ("POST", "/v1/messages", {"model": "demo-claude", "messages": [], "max_tokens": 5}, 400),
        ("DELETE", "/v1/messages", None, 405),
    ],
)
def test_bad_requests(demo, method, path, body, status):
    """What the vendor would refuse the demo refuses too, in the right envelope, and never with a fault of its own."""
    answer = Answer(demo, path, {**OPENAI, "Content-Type": "application/json"}, body, method)
    assert answer.status == status
    assert_envelope(answer, path)


def test_a_body_that_is_not_json(demo):
    """Bytes that are no JSON are the caller's fault."""
    connection = http.client.HTTPConnection(demo.removeprefix("http://"), timeout=10)
    for raw in (b"", b"{", b"\xff\xfe", b"[" * 100_000):
        connection.request("POST", "/v1/chat/completions", raw, OPENAI)
        response = connection.getresponse()
        assert (response.status, b"not JSON" in response.read()) == (400, True)
    connection.close()


def test_text_that_is_not_text(demo):
    """A lone surrogate, which JSON can spell, does not upset the demo."""
    answer, _ = talk(demo, "/v1/chat/completions", "demo", messages=[{"role": "user", "content": "a\ud800b"}], stream=True)
    assert answer.status == 200 and b"a?b" in answer.body


def test_the_two_model_lists(demo):
    """Which list is told depends on the anthropic-version header; the Anthropic one is paged both ways."""
    ids = [model["id"] for model in Answer(demo, "/v1/models", OPENAI).json["data"]]
    assert ids == list(OPENAI_MODELS) and set(misbehaviour.NAMES) < set(ids)
    first = Answer(demo, "/v1/models?limit=2", ANTHROPIC).json
    assert [model["id"] for model in first["data"]] == list(ANTHROPIC_MODELS[:2]) and first["has_more"] is True
    following = Answer(demo, f"/v1/models?limit=2&after_id={first['last_id']}", ANTHROPIC).json
    assert [model["id"] for model in following["data"]] == list(ANTHROPIC_MODELS[2:4])
    back = Answer(demo, f"/v1/models?limit=2&before_id={following['first_id']}", ANTHROPIC).json
    assert back["data"] == first["data"]


def test_the_welcome(demo):
    """GET / says what this is and names every model that misbehaves; HEAD is answered; neither wants a credential."""
    page = Answer(demo, "/", {})
    assert page.status == 200 and page.body.decode() == monorelay.demo.__doc__
    assert Answer(demo, "/", {}, method="HEAD").status == 200


def test_the_docstring_tells_every_misbehaviour():
    """The list for people and the table in the code name the same models."""
    told = re.findall(r"^    (demo-[a-z0-9-]+) ", monorelay.demo.__doc__, re.MULTILINE)
    assert told == list(misbehaviour.NAMES)


def test_a_picture_behind_a_link(demo):
    """The link of an image answered by URL leads to a PNG of the size that was asked for."""
    body = {"prompt": "a red cat", "response_format": "url", "size": "16x8", "model": "demo-image"}
    url = Answer(demo, "/v1/images/generations", OPENAI, body).json["data"][0]["url"]
    picture = Answer(demo, url.removeprefix(demo), {})
    assert picture.headers["content-type"] == "image/png" and picture.body[16:24] == bytes([0, 0, 0, 16, 0, 0, 0, 8])


@pytest.mark.parametrize(("asked", "told"), [("wav", "audio/wav"), ("mp3", "audio/wav"), ("pcm", "audio/pcm"), (None, "audio/wav")])
def test_speech_says_what_it_is(demo, asked, told):
    """The demo makes WAV and PCM, and never calls a WAV an mp3."""
    body = {"model": "demo-audio", "input": "a b", "voice": "alloy", "response_format": asked}
    sound = Answer(demo, "/v1/audio/speech", OPENAI, body)
    assert sound.headers["content-type"] == told
    assert sound.body.startswith(b"RIFF") is (told == "audio/wav")


def test_speech_as_events(demo):
    """stream_format sse sends the sound in base64 pieces and ends with speech.audio.done."""
    body = {"model": "demo-audio", "input": "a b", "voice": "alloy", "stream_format": "sse"}
    sound = Answer(demo, "/v1/audio/speech", OPENAI, body)
    assert sound.body.startswith(b"event: speech.audio.delta\n") and b"speech.audio.done" in sound.body.split(b"\n\n")[-2]


def test_a_stored_response_told_again(demo):
    """GET /v1/responses/{id}?stream=true repeats the events, from where the client left off."""
    response = Answer(demo, "/v1/responses", OPENAI, {"model": "demo", "input": "hi"}).json
    whole = Answer(demo, f"/v1/responses/{response['id']}?stream=true", OPENAI)
    rest = Answer(demo, f"/v1/responses/{response['id']}?stream=true&starting_after=3", OPENAI)
    assert whole.body.endswith(rest.body) and b'"sequence_number": 4' in rest.body.split(b"\n\n")[0]
    forgotten = Answer(demo, "/v1/responses", OPENAI, {"model": "demo", "input": "hi", "store": False}).json
    assert Answer(demo, f"/v1/responses/{forgotten['id']}", OPENAI).status == 404


def test_a_client_that_leaves(demo):
    """Clients that go away in the middle of a stream, stalled or not, leave the demo in good health."""
    host, _, port = demo.removeprefix("http://").partition(":")
    for model in ("demo-long", "demo-stall"):
        raw = json.dumps({"model": model, "messages": SAID, "stream": True}).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nContent-Length: {len(raw)}\r\n\r\n"
        with socket.create_connection((host, int(port)), timeout=10) as client:
            client.sendall(head.encode() + raw)
            assert client.recv(100).startswith(b"HTTP/1.1 200")
    assert talk(demo, "/v1/chat/completions", "demo")[0].status == 200


def test_it_ends_when_told():
    """SIGTERM ends the demo at once, with status 0; a port that is taken is a sentence, not a traceback."""
    process = subprocess.Popen([sys.executable, "-m", "monorelay.demo"], stdout=subprocess.PIPE, text=True)
    port = process.stdout.readline().rpartition(":")[2].strip()
    second = subprocess.run([sys.executable, "-m", "monorelay.demo", "--port", port], capture_output=True, text=True, timeout=20)
    assert second.returncode == 1 and f"port {port} cannot be used" in second.stderr and "Traceback" not in second.stderr
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    process.stdout.close()


def test_the_table_of_calls_leaves_no_route_out():
    """Every capability that a shipped route needs is called by some SDK call of tests/story/calls.py."""
    pytest.importorskip("openai")
    pytest.importorskip("anthropic")
    import calls

    routes = Path(monorelay.demo.__file__).resolve().parents[2] / "routes.d"
    needed = {word for file in routes.glob("*.yml") for word in re.findall(r"^\s*needs: (\S+)", file.read_text(), re.MULTILINE)}
    assert needed and needed <= {call.needs for call in calls.CALLS}
