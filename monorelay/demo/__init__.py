"""The built-in upstream: a provider that needs no account, speaks both dialects, and misbehaves when asked to.

A small Tornado application in a process of its own (``python -m monorelay.demo --port 0``). The relay reaches it over a real
socket like any other upstream; it imports nothing of the rest but ``errors``. Any non-empty credential will do: a bearer token
on the OpenAI side, ``x-api-key`` or a bearer token on the Anthropic side. What it makes (files, batches, responses, assistants,
threads) it remembers in memory, boundedly, until it ends.

Chat, responses and messages answer by one rule (``mind.py``):

* A tool result is answered with a sentence about it, anything else with "You said: …"; JSON that follows the schema when a
  JSON format was asked for.
* Tools are called when given: the one that ``tool_choice`` forces; else every tool whose name the user's text mentions; else,
  when at most three tools are given, the first. An agent that offers dozens of tools with every turn thus gets a plain answer
  to a plain "hi". Arguments are invented from the tool's schema and are harmless to execute.

Any model name is answered. ``demo`` and ``demo-mini``, ``demo-embed``, ``demo-image``, ``demo-audio``, ``demo-moderation``,
``demo-rerank`` are listed on the OpenAI side, ``demo-claude`` and ``demo-claude-mini`` on the Anthropic side. These misbehave:

    demo-429         refuses: 429 with Retry-After: 2
    demo-500         refuses: 500
    demo-503         refuses: 503, overloaded
    demo-401         refuses: 401, as if the key were bad
    demo-400         refuses: 400, as if the request were at fault
    demo-404         refuses: 404, as if there were no such model
    demo-html        answers 502 with a page of HTML
    demo-redirect    answers 302 to another host
    demo-slow        waits three seconds before the first byte
    demo-stall       starts its answer, then stays silent for as long as the client does
    demo-cut         closes the connection in the middle of its answer
    demo-error       sends an error event in place of the first content of a stream; without stream: 500
    demo-late-error  sends an error event after some content; without stream it answers well
    demo-long        answers with two thousand words
    demo-gzip        compresses its answer although nobody asked for that
"""
