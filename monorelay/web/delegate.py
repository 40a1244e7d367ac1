"""One client request from its head to its answer: what a compiled route is, for Tornado.

Everything that the head alone decides is decided and written when the head arrives; the body of a refused request is swallowed,
within bounds, so that its sender can read the answer. Then the body is collected (or streamed on), and ``relay/line.py`` takes
over.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPHeaders, HTTPMessageDelegate

from monorelay.config.settings import ClientSpec
from monorelay.dialects.envelopes import Family, error_bytes, family_of
from monorelay.errors import (
    BODY_TOO_LARGE,
    HEAD_TOO_LARGE,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    PROXY,
    TIMED_OUT_BODY,
    ErrorBody,
    RelayError,
)
from monorelay.plan.plan import Plan, Route
from monorelay.relay.call import Call
from monorelay.relay.line import carry
from monorelay.relay.refusal import JSON, error_headers
from monorelay.upstream.upload import Upload
from monorelay.web import cors
from monorelay.web.admission import admit, refuse_foreign_host, refuse_foreign_page
from monorelay.web.answers import Question
from monorelay.web.chunks import read_strictly
from monorelay.web.head import Unframed, body_length, fields_of, target_of
from monorelay.web.head_reading import HEAD_LIMIT, LINES_LIMIT, HeadReader
from monorelay.web.reply import TornadoReply

if TYPE_CHECKING:
    from monorelay.web.switchboard import Switchboard

log = logging.getLogger("monorelay.web")

_SANE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class RelayDelegate(HTTPMessageDelegate):
    """One request.

    Mutable: filled in as the request arrives. ``_call`` and ``_route`` at the head; ``_pieces`` or ``_upload`` by the body;
    ``_task`` when the line takes over; ``_decided`` once an answer is under way and the rest of the request is only swallowed.
    """

    __slots__ = (
        "_board",
        "connection",
        "_head",
        "_reply",
        "_plan",
        "_route",
        "_call",
        "_pieces",
        "_size",
        "_upload",
        "_task",
        "_timer",
        "_heard",
        "_decided",
        "_room",
        "_started",
        "_id",
        "_family",
    )

    def __init__(self, board: Switchboard, connection: HTTP1Connection) -> None:
        self._board = board
        self.connection = connection
        self._head = HeadReader(connection)
        self._reply: TornadoReply | None = None
        self._plan: Plan | None = None
        self._route: Route | None = None
        self._call: Call | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self._upload: Upload | None = None
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._heard = 0.0
        self._decided = False
        self._room: asyncio.Future[None] | None = None
        self._started = 0.0
        self._id = ""
        self._family: Family = "openai"

    # ------------------------------------------------------------------ the head

    def headers_received(self, start_line: Any, headers: HTTPHeaders) -> asyncio.Future[None] | None:
        board = self._board
        resources = board.resources
        plan = self._plan = board.plan  # the generation is taken here, and kept to the end
        board.busy += 1
        board.waiting.pop(self.connection.stream, None)
        self._started = resources.clock.monotonic()
        fields = fields_of(headers)
        method = start_line.method
        reply = self._reply = TornadoReply(self.connection, start_line.version, method, fields.get("connection", ""))
        reply.expects = "expect" in fields
        asked_id = fields.get("x-request-id", "")
        self._id = asked_id if asked_id and _SANE_ID.fullmatch(asked_id) else resources.new_request_id()
        path, query = target_of(start_line.path)
        head = self._head
        try:
            if head.is_malformed:
                raise Unframed("The request is not HTTP/1.1: its first line or one of its header fields is malformed.")
            length = body_length(fields)
            if length is None:
                read_strictly(self.connection)
            if head.is_too_long:
                text = f"The request's head takes {head.size} bytes; {HEAD_LIMIT} in {LINES_LIMIT} lines are allowed."
                raise RelayError(HEAD_TOO_LARGE, text)
            refuse_foreign_host(plan.admission, fields)
            origins = plan.config.server.cors_origins
            allowed = cors.allowed_origin(origins, fields) if origins else None
            if allowed is None:
                refuse_foreign_page(plan.admission, method, fields)
            else:
                reply.extra = cors.answer_lines(allowed)
            if allowed is not None and cors.is_preflight(method, fields):
                self._answer(204, cors.preflight_headers(plan.table.methods(path) or ("GET", "POST"), fields), b"")
            else:
                return self._routed(plan, method, path, query, fields, length)
        except RelayError as error:
            if isinstance(error, Unframed):
                reply.close_after()
            if self._route is None:
                self._family = _family_at(plan, path, fields)
            self._refuse(error)
        return None

    def _routed(
        self, plan: Plan, method: str, path: str, query: str, fields: Mapping[str, str], length: int | None
    ) -> asyncio.Future[None] | None:
        route, parameters = plan.table.find(method, path)
        if route is None and method == "HEAD":
            route, parameters = plan.table.find("GET", path)
            if route is not None and route.spec.needs is not None:
                route = None
        client: ClientSpec | None = None
        if route is None or route.spec.access != "public":
            client = admit(plan.admission, fields)
        if route is None:
            raise _unrouted(plan, method, path)
        self._route = route
        spec = route.spec
        self._family = family_of(spec.needs or spec.answer, "anthropic-version" in fields)
        if length is not None and length > spec.max_body:
            raise RelayError(BODY_TOO_LARGE, f"The body has {length} bytes; this route takes {spec.max_body}.")
        if spec.reply is not None:
            error = ErrorBody(spec.reply.error_type, spec.reply.error_message)
            self._answer(spec.reply.status, [JSON, *spec.reply.headers], error_bytes(self._family, error))
            return None
        call = self._call = Call(
            id=self._id,
            plan=plan,
            route=route,
            method=method,
            parameters=parameters,
            query=query,
            fields=fields,
            client=client,
            family=self._family,
            started=self._started,
        )
        return self._expect_body(call, length)

    def _expect_body(self, call: Call, length: int | None) -> asyncio.Future[None] | None:
        if length != 0:
            loop = self._board.resources.loop
            self._heard = loop.time()
            self._timer = loop.call_later(call.plan.config.server.body_timeout, self._look_at_body)
        if call.route.spec.body != "stream":
            return None
        # The line begins now: the key is chosen, or the call refused, before a byte of the body is taken.
        self._upload = Upload(length)
        ready: asyncio.Future[None] = self._board.resources.loop.create_future()
        self._begin(call, self._upload, ready)
        return ready

    # ------------------------------------------------------------------ the body

    def data_received(self, chunk: bytes) -> asyncio.Future[None] | None:
        self._size += len(chunk)
        self._heard = self._board.resources.loop.time()
        reply, route = self._reply, self._route
        assert reply is not None
        reply.expects = False
        if self._decided or reply.ended or route is None:
            reply.swallow(len(chunk))
            return None
        if self._size > route.spec.max_body:
            text = f"The body is larger than the {route.spec.max_body} bytes that this route takes."
            self._break_off(RelayError(BODY_TOO_LARGE, text))
            return None
        if self._upload is None:
            if route.spec.body != "none":
                self._pieces.append(chunk)
            return None
        self._upload.write(chunk)
        return self._wait_for_room(self._upload) if self._upload.full else None

    def _wait_for_room(self, upload: Upload) -> asyncio.Future[None]:
        """Back-pressure: Tornado reads on when this is done."""
        self._room = self._board.resources.loop.create_future()
        upload.on_room = self._room_again
        return self._room

    def _room_again(self) -> None:
        room, self._room = self._room, None
        self._heard = self._board.resources.loop.time()
        if room is not None and not room.done():
            room.set_result(None)

    def _look_at_body(self) -> None:
        """The body's own timer: one per request, re-armed only when bytes came meanwhile."""
        self._timer = None
        loop = self._board.resources.loop
        limit = self._plan.config.server.body_timeout if self._plan is not None else 30.0
        held_back = self._room is not None
        silent = 0.0 if held_back else loop.time() - self._heard
        if silent < limit - 0.01:
            self._timer = loop.call_later(limit - silent, self._look_at_body)
        elif not self._decided:
            text = f"The request's body stopped arriving: nothing came for {limit:g} s."
            self._break_off(RelayError(TIMED_OUT_BODY, text))

    def _break_off(self, error: RelayError) -> None:
        """The body will not be taken to its end: whatever was begun with it is given up, and the client is told."""
        if self._task is not None:
            self._task.cancel()
        self._pieces.clear()
        reply = self._reply
        assert reply is not None
        if reply.begun:
            reply.cut()
        else:
            if error.status == TIMED_OUT_BODY.status:
                reply.close_after()  # the rest may come at any time, or never: this connection is of no more use
            self._refuse(error)
        self._decided = True

    def finish(self) -> None:
        """The request is complete."""
        self._cancel_timer()
        reply, call = self._reply, self._call
        assert reply is not None
        reply.request_ended()
        self.connection.set_close_callback(self._left)
        if self._upload is not None:
            self._upload.finish()
        elif not self._decided and call is not None:
            if call.route.spec.answer is not None:
                self._give_answer(call)
            else:
                self._begin(call, b"".join(self._pieces) if self._pieces else b"", None)
                self._pieces.clear()
        if self._task is None:
            self._over()
        elif self.connection.stream.closed():
            self._left()  # it sent its request and went: Tornado no longer watches this connection

    def on_connection_close(self) -> None:
        """The client left before its request was complete."""
        self._left()

    # ------------------------------------------------------------------ answering

    def _begin(self, call: Call, body: bytes | Upload, ready: asyncio.Future[None] | None) -> None:
        board = self._board
        reply = self._reply
        assert reply is not None
        board.resources.tally.in_flight += 1
        task = self._task = board.resources.loop.create_task(carry(call, body, reply, board.resources))
        board.calls[task] = call.id
        board.presence.watch(self.connection.stream, self._vanished)
        task.add_done_callback(self._carried)
        if ready is not None:
            board.resources.loop.call_soon(_when_begun, body, task, ready)

    def _carried(self, task: asyncio.Task[None]) -> None:
        self._board.resources.tally.in_flight -= 1
        self._board.calls.pop(task, None)
        self._board.presence.forget(self.connection.stream)
        self._decided = True
        self._room_again()  # an answer that came early: the rest of the body is swallowed
        self._over()

    def _give_answer(self, call: Call) -> None:
        question = Question(call.plan, call.family, call.parameters, call.query, call.fields)
        try:
            answer = self._board.answers.give(call.route.spec.answer or "", question)
        except RelayError as error:
            self._refuse(error)
            return
        except Exception:
            log.exception("request=%s a fault in the relay", call.id)
            self._refuse(RelayError(PROXY, f"A fault in the relay; its log has the details under request id {call.id}."))
            return
        self._answer(answer.status, [("content-type", answer.kind), *answer.headers], answer.body)

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """An answer of the relay's own."""
        reply = self._reply
        assert reply is not None
        self._decided = True
        reply.whole(status, [*headers, ("x-request-id", self._id), ("x-monorelay-request-id", self._id)], body)

    def _refuse(self, error: RelayError) -> None:
        self._cancel_timer()
        self._board.resources.tally.refused(error.status)
        self._answer(error.status, error_headers(error), error_bytes(self._family, error.body))

    def _left(self) -> None:
        """The client is gone: close what was opened for it."""
        self._cancel_timer()
        reply = self._reply
        if reply is not None:
            reply.left()
        if self._upload is not None and not self._upload.finished and self._task is not None:
            self._task.cancel()
        if self._room is not None:
            self._room_again()
        if self._task is None:
            self._over()

    def _vanished(self) -> None:
        """The client left while Tornado did not read its connection, and so would never close it."""
        self._left()
        self.connection.close()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _over(self) -> None:
        """This request is no longer in flight."""
        if self._plan is not None:
            self._plan = None
            self._board.busy -= 1


def _when_begun(body: bytes | Upload, task: asyncio.Task[None], ready: asyncio.Future[None]) -> None:
    """Lets Tornado go on to the body once the engine is attached to the upload, or the call is over."""
    if isinstance(body, Upload) and body.on_bytes is None and not task.done():
        asyncio.get_running_loop().call_later(0.001, _when_begun, body, task, ready)
    elif not ready.done():
        ready.set_result(None)


def _family_at(plan: Plan, path: str, fields: Mapping[str, str]) -> Family:
    """Whose envelope a refusal on this path has, whatever its method: the dialect's that is spoken there."""
    methods = plan.table.methods(path)
    route = plan.table.find(methods[0], path)[0] if methods else None
    return family_of(route.spec.needs or route.spec.answer if route else None, "anthropic-version" in fields)


def _unrouted(plan: Plan, method: str, path: str) -> RelayError:
    methods = plan.table.methods(path)
    if methods:
        allow = ", ".join((*methods, "HEAD")) if "GET" in methods and _own(plan, path) else ", ".join(methods)
        return RelayError(
            METHOD_NOT_ALLOWED, f"{method} is not served on this path; {allow} would be.", headers=(("allow", allow),)
        )
    shown = path if path.isprintable() and len(path) <= 200 else path[:200].encode("ascii", "backslashreplace").decode()
    return RelayError(NOT_FOUND, f"No route is called {shown}. GET / tells how to point clients here.", curable=False)


def _own(plan: Plan, path: str) -> bool:
    route, _ = plan.table.find("GET", path)
    return route is not None and route.spec.needs is None
