"""The prose of docs/drop-ins.md about files, routes, headers and time-outs; ``reference.py`` puts the tables in."""

from __future__ import annotations

OPENING_AND_ROUTES = """\
# Drop-ins: the reference

<!-- Written by `python -m monorelay.config.reference`: edit the schemas and the prose beside that file, not this page. -->

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

The pages below name every field there is. A field that is not here is an error, told with its place and, mostly, with the name
that was meant: `providers.d/openai.yml:9:1: rate_limit_cooldwon: unknown field, did you mean rate_limit_cooldown?` All mistakes
of all files are told at once, and while there is one, a running relay keeps what it had.

* [Where files live](#where-files-live)
* [Routes](#routes)
* [Providers](#providers)
* [Limits](#limits), [retries and refusals](#retries-and-refusals), [prices and credits](#prices-and-credits)
* [Faults](#faults), [tests](#tests)
* [Headers](#headers), [query](#query), [time-outs](#time-outs)
* [config.yml](#configyml)
* [Which model, which provider](#which-model-which-provider), [what a request says](#what-a-request-says)
* [References](#references)
* [YAML, as it is read here](#yaml-as-it-is-read-here)

## Where files live

Three layers, each above the one before:

| layer | directory | whose |
| --- | --- | --- |
| vendor | `/usr/share/monorelay`; in a checkout the repository; or `$MONORELAY_VENDOR_DIR` | the package's: upgrades replace it |
| operator | `/etc/monorelay`, or `--config-dir DIR` | yours |
| runtime | `$RUNTIME_DIRECTORY` (`/run/monorelay` under systemd), where it is set | what must be gone after a restart |

Each may hold `routes.d/*.yml` and `providers.d/*.yml`. `config.yml` is the operator's; so is `config.d/*.yml`, but for a few
defaults that the vendor layer has there, too (see *config.yml*).

* A file **replaces** the file of the same name in the layers below it, whole.
* An empty file, or a link to `/dev/null`, **masks** it: that route or provider is gone. Comments may stay in it.
* Any other file adds. All of them count in the order of their names, whatever their layer.
* Files that begin with a dot, or do not end in `.yml` or `.yaml`, are not looked at.

A provider can also be **built upon** another instead of replacing it. `extends:` names a template (a file with `template: true`)
or the very same provider of a lower layer. What your file says is laid upon what it extends, mapping by mapping; a list replaces
the list, and `null` takes an inherited entry away. So an upgrade still brings you what you did not touch:

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

"""

HEADERS_AND_TIMEOUTS = """\
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

No rule can touch <<never>>; no rule can forward <<credentials>> to a provider, because they carry the client's credential for
this relay.

## Query

The query string goes up byte for byte, but for what `query:` of the route, and then of the offer, says:

<<query>>

## Time-outs

Four limits, each in seconds or as `500ms`, `15s`, `2m`, `1h`:

<<timeouts>>

The built-in limits are in the table. A provider's `timeouts` overrule them, an offer's overrule the provider's, a route's
overrule those, and a model's (`model_routing.models`) overrule all: each limit by itself. `timeout: 20` is short for `timeouts:
{first_byte: 20, idle: 20}`.

"""
