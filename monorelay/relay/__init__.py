"""The straight line of one request, and what outlives it. ``line.py`` is the way in; ``carry`` is what the web side calls.

line.py           for each target: for each usable key: attempt → verdict → until one answers
call.py body.py spelling.py         the request as it came; its JSON, parsed once and changed in place
errand.py         one call under way, as the steps hand it on
outcome.py verdict.py words.py      what can become of an attempt, what that means, and what a refusal is about

aim.py            where it goes: by remembered objects, by name, by the order of providers
affinity.py       where its conversation was answered last
complexity.py prompt_text.py code_signs.py      how much ``auto`` thinks is asked of the model
course.py         which target is next, and what is said when none is left
balance.py circuit.py holding.py    who goes first; who is passed over; who waits for a key
keys.py           a key of the target, lent and settled
backoff.py        whether the same target is asked again

sending.py        what is sent: the operator's rules, the translation, the finished request
attempt.py        one exchange with one target and key
rehearsing.py     the same with a fault that somebody asked for
deliver.py delivering.py inflate.py             the way back, and what it is told beforehand
local.py refusal.py                 answers of the relay's own, and those that say no
trail.py remembering.py             what the answer tells of its way, and what is kept of it

resources.py      all that outlives a plan, in one hand
pools.py keeping.py                 the key pools; what they know, kept over a restart
roster.py credits.py                model lists and balances, asked in the background
tally.py recent.py                  counters; the latest attempts

explain.py        why a request would go where; nothing is sent
replay.py expectation.py            the tests of providers, and where they fail
"""
