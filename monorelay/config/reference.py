"""docs/drop-ins.md, written from the schemas: ``python -m monorelay.config.reference > docs/drop-ins.md``.

What a field is for is said once, beside its schema; the prose around the tables is here, and a test loads every example of it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

from monorelay.config.fragments import QUERY, TIMEOUTS
from monorelay.config.headers import CREDENTIALS, HEADERS, NEVER
from monorelay.config.provider import KEY, OFFER, PROVIDER
from monorelay.config.quirks import PROVIDER_QUIRKS, TOOL_CALLING
from monorelay.config.route import ROUTE
from monorelay.config.routing import KEY_SELECTION, MODEL_ROUTING
from monorelay.config.schema import Rules, Schema
from monorelay.config.settings import CLIENT, SERVER, SETTINGS

# Each table of the page. What has a table of its own is not spelled out in another.
TABLES: dict[str, Schema] = {
    "route": ROUTE,
    "provider": PROVIDER,
    "key": KEY,
    "offer": OFFER,
    "headers": HEADERS["request"]["schema"],
    "query": QUERY,
    "timeouts": TIMEOUTS,
    "settings": SETTINGS,
    "server": SERVER,
    "client": CLIENT,
    "model_routing": MODEL_ROUTING,
    "key_selection": KEY_SELECTION,
    "quirks": PROVIDER_QUIRKS,
    "tool_calling": TOOL_CALLING,
}
_SHAPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "dict": "mapping",
    "list": "list",
}


def table(schema: Schema) -> str:
    """Name, type, default and meaning of each field, one line each."""
    lines = ["| field | type | default | meaning |", "| --- | --- | --- | --- |"]
    for name, rules in fields(schema):
        meta = rules["meta"]
        cells = (f"`{name}`", meta["shown"] or shape(rules), meta["default"], meta["help"])
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def fields(schema: Schema, prefix: str = "") -> Iterator[tuple[str, Rules]]:
    """All fields with their dotted names, but for what has a table of its own."""
    for name, rules in schema.items():
        yield prefix + name, rules
        inner = rules.get("schema")
        if rules["type"] == "dict" and isinstance(inner, dict) and inner is not HEADERS and inner not in TABLES.values():
            yield from fields(inner, f"{prefix}{name}.")


def shape(rules: Rules) -> str:
    kinds = [rules["type"]] if isinstance(rules["type"], str) else rules["type"]
    return " or ".join(_SHAPES[kind] for kind in kinds)


def page() -> str:
    text = _PAGE.replace("<<never>>", _listed(NEVER)).replace("<<credentials>>", _listed(CREDENTIALS))
    return re.sub(r"<<(\w+)>>", lambda match: table(TABLES[match[1]]), text)


def _listed(names: frozenset[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


_PAGE = """\
# Drop-ins: the reference

<!-- Written by `python -m monorelay.config.reference`: edit the schemas and that file, not this page. -->

MonoRelay does what small YAML files say. A **route** is a path that clients call, and the one *capability* it needs, such as
`openai.chat`. A **provider** is an upstream vendor, and the capabilities it *offers*. Drop a file into `routes.d/` or
`providers.d/`, ask `monorelay check`, and reload: that is all there is to it. A provider of your own is often four lines:

```yaml
# providers.d/50-local.yml
provider: local
extends: openai-compatible
base_url: http://127.0.0.1:8000/v1
keys: ["${LOCAL_KEY:-}"]
```

The pages below name every field there is. A field that is not here is an error, told with its place and, mostly, with the name that
was meant: `providers.d/openai.yml:9:1: rate_limit_cooldwon: unknown field, did you mean rate_limit_cooldown?` All mistakes of all
files are told at once, and while there is one, a running relay keeps what it had.

* [Where files live](#where-files-live)
* [Routes](#routes)
* [Providers](#providers)
* [Headers](#headers), [query](#query), [time-outs](#time-outs)
* [config.yml](#configyml)
* [References](#references)
* [YAML, as it is read here](#yaml-as-it-is-read-here)

## Where files live

Three layers, each above the one before:

| layer | directory | whose |
| --- | --- | --- |
| vendor | `/usr/share/monorelay`; in a checkout the repository; or `$MONORELAY_VENDOR_DIR` | the package's: upgrades replace it |
| operator | `/etc/monorelay`, or `--config-dir DIR` | yours |
| runtime | `$RUNTIME_DIRECTORY` (`/run/monorelay` under systemd), where it is set | what must be gone after a restart |

Each may hold `routes.d/*.yml` and `providers.d/*.yml`; `config.yml` and `config.d/*.yml` are the operator's.

* A file **replaces** the file of the same name in the layers below it, whole.
* An empty file, or a link to `/dev/null`, **masks** it: that route or provider is gone. Comments may stay in it.
* Any other file adds. All of them count in the order of their names, whatever their layer.
* Files that begin with a dot, or do not end in `.yml` or `.yaml`, are not looked at.

A provider can also be **built upon** another instead of replacing it. `extends:` names a template (a file with `template: true`) or
the very same provider of a lower layer. What your file says is laid upon what it extends, mapping by mapping; a list replaces the
list, and `null` takes an inherited entry away. So an upgrade still brings you what you did not touch:

```yaml
# providers.d/openai.yml
provider: openai
extends: openai
rate_limit_cooldown: 20s
headers:
  request:
    set: {openai-organization: org-ours}
```

Two files that define one provider, two routes of one name, two routes for one method and path: those are errors that name both.

## Routes

```yaml
# routes.d/60-ocr.yml
route: ocr                        # its name in logs and in `monorelay routes`
path: /v1/ocr/{kind}              # {kind} is one segment; {rest...}, at the end, would take all that is left
methods: [POST]
needs: acme.ocr                   # a word of your own will do: some provider must offer it
upstream: /{kind}                 # what follows the path at which the provider offers it
body: json
model: optional                   # if the body names a model, it chooses the provider
max_body: 20MiB
timeouts: {first_byte: 5m}
headers:
  request:
    forward: [content-type, x-page-range]
```

A file may also hold several, as `routes: [ {route: …}, {route: …} ]`. A route has exactly one of `needs` (relayed), `answer` (the
relay answers itself) and `reply` (a fixed answer):

```yaml
# routes.d/99-retired.yml
route: retired
path: /v1/engines
methods: [GET]
access: public
reply:
  status: 410
  error: {type: not_found_error, message: "Engines are gone. Ask GET /v1/models."}
```

HEAD is not listed: it is served wherever GET is one of the relay's own answers.

<<route>>

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

A provider serves as soon as it has a key (`enabled: auto`): a shipped one needs nothing but its environment variable. The URLs and
header values may be Jinja2 templates.

<<provider>>

A key (`keys[]`):

<<key>>

An offer (`offers.*`), where it says more than its path:

<<offer>>

`quirks`, for clients of another dialect than this provider's:

<<quirks>>

## Headers

A header program decides what passes. Its steps run in this order, each for the route first, then for the provider, then for the
offer: `forward`, `rename`, `default`, `set`, `remove`, `only`. **What no rule lets pass is not sent**, but for what every answer
brings back unasked: what describes its body, request ids, `retry-after` and rate limits. Names are written in any case; globs
(`x-ratelimit-*`) are understood wherever a list of names is.

`headers: {request: {…}, response: {…}}`, each of them with:

<<headers>>

```yaml
# routes.d/61-messages-strict.yml
route: messages-strict
path: /strict/v1/messages
methods: [POST]
needs: anthropic.messages
body: json
model: required
headers:
  request:
    forward: [anthropic-version, anthropic-beta]
    default: {anthropic-version: "2023-06-01"}
    remove: {anthropic-beta: ["context-1m-*"]}      # tokens of a list-valued header; null instead of a list = the whole header
  response:
    remove: [server, "cf-*"]
```

Values of `default` and `set` on the request side are Jinja2 templates that may use `{{ key }}`, `{{ label }}`, `{{ provider }}`,
`{{ version }}`, `{{ model }}`, `{{ request_id }}`, `{{ client }}` and the parameters of the route's path. A value that holds a
`${reference}` is taken as it is instead: it is a secret, and never a template.

No rule can touch <<never>>; no rule can forward <<credentials>> to a provider, because they carry the client's credential for this
relay.

## Query

The query string goes up byte for byte, but for what `query:` of the route, and then of the offer, says:

<<query>>

## Time-outs

Four limits, each in seconds or as `500ms`, `15s`, `2m`, `1h`:

<<timeouts>>

The built-in limits are in the table. A provider's `timeouts` overrule them, an offer's overrule the provider's, and a route's
overrule all: each limit by itself. `timeout: 20` is short for `timeouts: {first_byte: 20, idle: 20}`.

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
again, and wins; what one of them says, another may not.

<<settings>>

`server` (`listen`, `host`, `port`, `workers` and `state_dir` take effect at the next start, the rest at a reload):

<<server>>

A client (`clients.*`) may send a token of its own instead of the access key; only its hash is kept here:

<<client>>

`model_routing`:

<<model_routing>>

`key_selection`:

<<key_selection>>

`tool_calling`: the tools of a request, the choice among them and the tool turns of its history become text. The answer says so in
`x-monorelay-lossy`.

<<tool_calling>>

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


if __name__ == "__main__":
    sys.stdout.write(page())
