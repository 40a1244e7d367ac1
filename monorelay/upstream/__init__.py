"""The only room that opens sockets outward; and the keys with which it does. An island: it knows no plan and no dialect.

interface.py      the seam: a request goes in, a receiver hears of the answer
curl.py           the real engine, and its parts:
                  curl_driver.py curl_sockets.py alarm.py   libcurl on the event loop
                  curl_idle.py                              kept connections, before they are used again
                  curl_handle.py curl_options.py heads.py   one exchange
                  curl_limits.py curl_faults.py             time limits; what failed, in a sentence
                  curl_build.py                             which libcurl this machine has
scripted.py       its stand-in for tests
rehearsal.py event_count.py         faults on purpose, before a real one; where the events of a stream end
upload.py         a body that is still arriving
collect.py        a whole answer, for callers that have no client waiting

keypool.py        the keys of one provider, and its parts, which are pure as it is:
                  pool_rules.py key_choice.py               how one is chosen
                  key_standing.py                           whether it may be used now, and if not, until when
                  key_limits.py sliding_window.py           how much of its limits is used
                  key_facts.py                              what is told to other workers, and kept over a restart
shared_usage.py   memory in which workers see what the others use of a key
waits.py          how long to wait, as an answer says it
"""
