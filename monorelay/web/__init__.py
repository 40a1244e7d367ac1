"""Everything that Tornado serves. A request goes through these files from the top to the bottom, and its answer back.

serve.py          the front of one worker, put together and taken apart
accepting.py streams.py             connections, plain and over TLS, also when descriptors run out
switchboard.py    where a connection asks who takes its next request: the one reference that a reload changes
head_reading.py chunks.py           a head and a chunked body, strictly, whichever Tornado reads them
head.py           what the head says
admission.py cors.py                who may call, and from which pages
delegate.py       one request, from its head to its answer
reply.py          the client's side of it: head, chunks, end, back-pressure
presence.py       whether that client is still there

answers.py        the relay's own answers (``answer:`` of a route), from memory
pages/            the welcome page
base_url.py machine.py              what /api/info knows: where clients reach this relay, and how the machine is
"""
