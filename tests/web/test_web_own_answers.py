"""The relay's own answers: what a fault in one of them looks like from outside."""

from __future__ import annotations

from typing import Any

from web_stage import in_loop, web_stage


@in_loop
async def test_a_fault_in_an_answer_of_our_own_is_500(expect_logs: Any) -> None:
    """In the envelope, with the request id under which the log tells more; the connection goes on."""
    expect_logs("request=r-1 a fault in the relay")
    async with web_stage() as stage:
        answers: Any = stage.front._switchboard.answers
        answers.answer_health = None
        client = await stage.client()
        await client.ask("GET", "/health", None, "X-Request-Id: r-1")
        answer = await client.answer()
        assert (answer.status, answer.error["type"]) == (500, "proxy_error")
        assert "r-1" in answer.error["message"] and answer.fields["x-monorelay-request-id"] == "r-1"
        await client.ask("GET", "/v1/models")
        assert (await client.answer()).status == 200
