"""Which ids an answer gives the relay to remember."""

from __future__ import annotations

import pytest

from monorelay.dialects.object_ids import remembered_ids


@pytest.mark.parametrize(
    ("capability", "body", "ids"),
    [
        ("openai.files", b'{"id":"file-1","object":"file"}', ("file-1",)),
        ("openai.batches", b'{"id":"batch_1","object":"batch","output_file_id":null}', ("batch_1",)),
        ("openai.batches", b'{"id":"batch_1","output_file_id":"file-o","error_file_id":"file-e"}', ("batch_1", "file-o", "file-e")),
        ("openai.fine_tuning", b'{"id":"ftjob-1","result_files":["file-r","file-s"]}', ("ftjob-1", "file-r", "file-s")),
        ("openai.assistants", b'{"id":"asst_1","object":"assistant"}', ("asst_1",)),
        ("openai.assistants", b'{"id":"run_1","object":"thread.run","thread_id":"thread_1"}', ("run_1", "thread_1")),
        ("openai.responses", b'{"id":"resp_1","object":"response"}', ("resp_1",)),
        ("openai.responses", b'{"id":"resp_1","object":"response","x":"' + b"y" * 100_000, ("resp_1",)),
        ("openai.responses", b'{"object":"list","data":[{"id":"msg_1","x":"' + b"y" * 100_000, ()),
        ("openai.responses", b'{"id":"resp_1","object":"resp', ()),
        ("openai.files", b'{"object":"list","data":[{"id":"file-1"}],"id":"x"}', ()),
        ("openai.files", b'{"data":[{"id":"file-1"}]}', ()),
        ("openai.files", b'{"id":"file-1","object":"file","deleted":true}', ()),
        ("openai.files", b'{"id":"batch_req_1","custom_id":"a","response":{}}', ()),
        ("openai.files", b'{"id":7}', ()),
        ("openai.files", b'{"id":""}', ()),
        ("openai.files", b"[]", ()),
        ("openai.files", b"not json", ()),
        ("openai.files", b"", ()),
        ("openai.chat", b'{"id":"chatcmpl-1"}', ()),
        ("acme.ocr", b'{"id":"x"}', ()),
    ],
)
def test_remembered(capability: str, body: bytes, ids: tuple[str, ...]) -> None:
    """The object's own id first, then those of what came with it; lists, deletions and lines of files name nothing."""
    assert remembered_ids(capability, body) == ids
