"""The prose of docs/drop-ins.md about providers; ``reference.py`` puts the tables in."""

from __future__ import annotations

PROVIDERS = """\
## Providers

```yaml
# providers.d/70-acme.yml
provider: acme
extends: openai-compatible        # brings the usual offers and header rules
priority: 20                      # asked before those with 50, the default
base_url: https://api.acme.example/v1
auth: {header: api-key}           # or bearer (the default), x-api-key, none
keys:
  - {label: team-a, secret: "${ACME_KEY_A:-}"}
  - {label: team-b, secret: "${ACME_KEY_B:-}", weight: 3}
offers:
  acme.ocr: /ocr                  # a capability, and its path below base_url
  openai.embeddings: {path: /embed, base_url: "https://embed.acme.example", timeout: 20}
  openai.moderations: null        # inherited, and not true here
models:
  include: ["acme-*"]
  exclude: ["acme-*-preview"]
rate_limit_cooldown: 30           # a key's rest after a 429 without Retry-After
headers:
  request:
    default: {x-acme-region: eu}
    set: {x-acme-client: "relay, key {{ label }}"}
```

A provider serves as soon as it has a key (`enabled: auto`): a shipped one needs nothing but its environment variable. The URLs
and header values may be Jinja2 templates.

<<provider>>

A key (`keys[]`):

<<key>>

An offer (`offers.*`), where it says more than its path:

<<offer>>

`quirks`, for clients of another dialect than this provider's:

<<quirks>>

## Limits

```yaml
# providers.d/71-metered.yml
provider: metered
extends: openai-compatible
base_url: https://api.metered.example/v1
limits: {rpm: 60, concurrency: 8}                # of each key
keys:
  - {label: old, secret: "${METERED_OLD:-}", expires_at: 2099-12-31}
  - {label: big, secret: "${METERED_BIG:-}", limits: {rpm: 600, tpm: 2000000, 1d: 50000}}
rate_limits:
  cooldown_scope: key+model
  remaining:
    - {remaining: x-ratelimit-remaining-requests, reset: x-ratelimit-reset-requests, format: duration}
  wait:
    - {header: x-wait-ms, format: milliseconds}
  body: ["try again in {wait}"]
session_header: x-session-affinity
```

`limits` of a provider are those of each of its keys; what a key says itself is laid upon them. A key at one of its limits is not
asked: the next one is, as after a 429.

<<limits>>

`rate_limits`:

<<rate_limits>>

`rate_limits.remaining[]`:

<<remaining>>

`rate_limits.wait[]`:

<<wait>>

## Retries and refusals

```yaml
# providers.d/72-moody.yml
provider: moody
extends: openai-compatible
base_url: https://api.moody.example/v1
keys: ["${MOODY_KEY:-}"]
retry: {max_retries: 2, retry_on_status: [502, 503], backoff: 300ms}
ignore: {status: [418], errors: ["*weird glitch*"]}
refusals:
  context_length: ["*too many tokens*"]
```

A retry asks the same provider once more, after a wait: never before the time that the provider named, never after the first byte
went to the client. It is off unless somebody says otherwise.

`retry` (in config.yml: of every provider that does not say otherwise, entry by entry):

<<retry>>

`ignore`: after such a refusal the next key is asked, then the next model of a cascade; with nothing left the client gets
`upstream_error`.

<<ignore>>

`refusals` tell a cascade where to go on:

<<refusals>>

## Prices and credits

```yaml
# providers.d/73-market.yml
provider: market
extends: openai-compatible
base_url: https://market.example/v1
keys: ["${MARKET_KEY:-}"]
offers: {credits: /credits}
prices:
  "*-mini": {input: 0.15, output: 0.6}
  "*": {input: 2.5, output: 10}
credits: {balance: data.total_credits, minus: data.total_usage, skip_below: 1}
```

A price (`prices.*`), in the provider's currency:

<<price>>

`credits`; a JSON path is names joined by dots, and `[0]` for the first item of a list:

<<credits>>

## Faults

A rehearsal: what becomes of your cascades when this provider fails? Refused unless config.yml says `server: {allow_faults:
true}`. Each fault is met by its share of the requests: with 0.3 and 0.2, three of ten meet the first, and two the second.

```yaml
# config.d/90-rehearsal.yml
server: {allow_faults: true}
```

```yaml
# providers.d/74-stage.yml
provider: stage
extends: openai-compatible
base_url: http://127.0.0.1:8001/v1
auth: none
faults:
  - {kind: rate_limit, share: 0.3, retry_after: 7}
  - {kind: cut, share: 0.2, after_events: 5}
```

<<fault>>

## Tests

What a provider wants, and what its answers mean, said as examples. `monorelay check --fixtures` replays them without a network.

```yaml
# providers.d/75-known.yml
provider: known
extends: openai-compatible
base_url: https://known.example/v1
keys: ["${KNOWN_KEY:-}"]
tests:
  - name: a chat goes up as it came
    request: {route: chat, body: {model: a-1, messages: [{role: user, content: Hello}]}}
    expect: {url: https://known.example/v1/chat/completions, body: {model: a-1}}
  - name: a 429 rests the key for as long as it says
    answer: {status: 429, headers: {retry-after: "360"}}
    expect: {cooldown: 6m, scope: key}
```

<<fixture>>

"""
