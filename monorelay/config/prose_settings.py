"""The prose of docs/drop-ins.md about config.yml, references and YAML; ``reference.py`` puts the tables in."""

from __future__ import annotations

SETTINGS = """\
## config.yml

```yaml
# config.yml
server:
  listen: 127.0.0.1:8787
  access_key: "${file:secrets/access_key}"
  cors_origins: ["https://chat.example.com"]
clients:
  ci: {sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", provider: openai}
model_routing:
  aliases:
    fast: gpt-4o-mini
    claude: claude-sonnet-4-5@anthropic         # an alias may name its provider, too; that ends the chain
  provider_mapping:
    "acme-*": acme                              # the first glob that matches counts
key_selection:
  strategy: weighted
tool_calling:
  unsupported_models: ["old-*"]
logging:
  level: info
providers:                                      # drop-ins written in place; each extends the shipped one of its name
  anthropic:
    rate_limit_cooldown: 60
```

Files of `config.d/` are laid upon it in the order of their names, mapping by mapping. What config.yml says, one of them may say
again, and wins; what one of them says, another may not. The vendor layer has a `config.d/` as well, with word lists and other
defaults of `model_routing`, `key_selection`, `retry` and `tool_calling`, and nothing else. It lies below config.yml: what you say
is laid upon it, whatever your file is called.

<<settings>>

`server` (`listen`, `host`, `port`, `workers` and `state_dir` take effect at the next start, the rest at a reload):

<<server>>

A client (`clients.*`) may send a token of its own instead of the access key; only its hash is kept here:

<<client>>

`key_selection`:

<<key_selection>>

`retry`, of every provider that does not say otherwise:

<<default_retry>>

`tool_calling`: the tools of a request, the choice among them and the tool turns of its history become text. The answer says so in
`x-monorelay-lossy`.

<<tool_calling>>

## Which model, which provider

```yaml
# config.d/50-routing.yml
model_routing:
  cascades:
    smart: [gpt-4o@openai, claude-sonnet-4-5@anthropic, llama-3@local]
    careful:
      models: [gpt-4o, claude-sonnet-4-5]
      context_length: [acme-long]               # instead, when the request is too long
  fallbacks:
    "gpt-4o*": [claude-sonnet-4-5]              # when the model itself failed
  balancing:
    "llama-*": latency
    "gpt-4o": {strategy: weighted, providers: [openai, acme]}
  complexity: {simple: gpt-4o-mini, moderate: gpt-4o, complex: smart}
  affinity: {enabled: true, ttl: 30m, headers: [x-session-id]}
key_selection:
  hold: 2s
retry:
  max_retries: 1
```

A name is an alias, or the name of a cascade, or `auto`, or a model. It may end in `@provider`; then that provider alone is asked.
A glob is about the whole name: `*` stands for anything, `?` for one character, and upper and lower case are one.

`model_routing`:

<<model_routing>>

A cascade (`cascades.*`), and what stands in for a model that failed (`fallbacks.*`). A plain list is short for `{models: …}`:

<<cascade>>

`balancing.*`; a plain word is short for `{strategy: …}`:

<<balance>>

`complexity`. The score is a guess from the look of a request, and no more than that:

<<complexity>>

`affinity`:

<<affinity>>

`circuit`:

<<circuit>>

## What a request says

```yaml
# config.d/60-payload.yml
model_routing:
  global_params: {temperature: 0.2}
  models:
    "o3*": {timeouts: {first_byte: 10m}, parameters: {reasoning_effort: high}}
    "acme-*": {system: {prepend: Be brief.}}
  payload_transformation:
    rules:
      - models: ["gpt-4o-*"]
        inject_params: {metadata.team: relay}
        override_params: {store: false}
        remove_params: [logit_bias]
```

In this order: `global_params`, the `parameters` of each glob of `models` that matches, the rules in their own order, and last the
`system` of `models`. Numbers, booleans, `null`, lists and mappings arrive as they are written. A dot leads into a field:
`metadata.team` is the field `team` of `metadata`. A `${reference}` is refused in all of them, because a secret would end up in a
body; only the texts of `system` may hold one. `model` and `stream` cannot be set: one belongs to the routing, the other to the
client.

`models.*`:

<<model>>

`payload_transformation`:

<<payload>>

`payload_transformation.rules[]`:

<<rule>>

## References

Any text may take its value, or a part of it, from elsewhere; so may a number, or true and false:

| written | is |
| --- | --- |
| `${NAME}`, `${env:NAME}` | an environment variable; it is an error if it is not set |
| `${NAME:-default}` | the same, or the default if it is not set or empty; the default holds no `}` |
| `${file:PATH}` | a file's text (UTF-8, up to 64 KiB) without its last line break; relative to the directory of config.yml |
| `${cred:NAME}` | a systemd credential: `LoadCredential=NAME:…` in the unit |
| `$$` | a dollar; any other `$` is an error |

References are looked up at the start and at each reload, and what they give is not looked at again. Inside `{ }` and `[ ]` YAML
wants quotes around them. Keys are shown by a fingerprint, whatever prints them; an empty key is no key; a key that stands in the
file itself is warned about. In a provider with `enabled: false`, a reference to something missing is a warning only.

## YAML, as it is read here

A file should mean what it looks like, so some of YAML's habits are left out:

* `true` and `false` are the only booleans; `no`, `on` and `yes` are text. So are dates, `22:22`, `0x1f` and `1_000`.
* `010` is 10, and `1.10` is 1.1: what is a name goes in quotes if it looks like a number.
* All keys are text (`404:` is the key 404). A key may stand only once.
* Anchors, aliases and `<<` work. Tags (`!something`), a second document and files that are not UTF-8 are errors.
* A file may be 1 MiB, hold 20,000 values, and nest 40 levels deep.
"""
