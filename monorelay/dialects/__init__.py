"""The wire languages of bodies, streams and errors. An island: bytes in, bytes out, the standard library only.

``interface.py`` says what a translator is, ``table.py`` which there are. A pair of dialects is a file or a folder,
``CLIENT_to_UPSTREAM``, and opens with its table; what two pairs share lies beside them, named for its subject.

    interface.py table.py quirks.py     translator, translation, transducer; who translates what; what a provider does differently
    loss.py demanded_headers.py         what cannot be kept; header fields that an upstream wants
    passthrough.py watchers.py usage.py whole_answers.py object_ids.py      one dialect on both sides: bytes, looked at in passing
    sse.py json_events.py multipart.py data_urls.py json_path.py            formats

Words of each dialect, and what is read and written in it
    openai_chat.py chat_content.py chat_answers.py call_deltas.py finish_reasons.py
    openai_responses.py responses_request.py responses_input.py responses_items.py responses_calls.py responses_tools.py
    responses_object.py responses_output.py responses_stream.py responses_reader.py responses_writer.py
    anthropic_messages.py messages_settings.py messages_writer.py
    text_completion.py openai_completions_to_openai_chat.py openai_completions_to_anthropic_messages.py

What pairs have in common
    tool_names.py call_ids.py carrying_ids.py call_arguments.py string_argument.py tool_input.py output_schema.py       tools
    effort.py sealed_thoughts.py signatures.py          thinking
    usage_shapes.py stream_errors.py refusals.py refusal_kinds.py       figures; failures, and what they are about

What the relay itself does with a body
    envelopes.py local.py model_lists.py token_estimate.py      answers of its own
    unrolled_answers.py                     a whole answer, told as the stream that was asked for
    conversation.py filtered_streams.py     what a target is chosen by
    system_prompt.py tool_text.py           what an operator has changed
"""
