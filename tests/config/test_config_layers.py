"""Three layers of drop-ins: what replaces, masks and extends what, and which files count at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from config_house import LOCAL, House

from monorelay.config.problems import name_of_user

OPENAI = "provider: openai\nextends: openai-compatible\nbase_url: https://api.openai.com/v1\nkeys: ['${OPENAI_API_KEY:-}']\n"
ROUTE = "route: {name}\npath: {path}\nmethods: [GET]\nanswer: health\n"


def names(house: House) -> list[str]:
    return [spec.name for spec in house.load().providers]


# ---------------------------------------------------------------------------------------------------- files


def test_a_file_replaces_the_file_of_its_name(house: House) -> None:
    """The whole file: nothing of the lower one is left."""
    house.write({"vendor/providers.d/a.yml": LOCAL + "priority: 3\n", "operator/providers.d/a.yml": LOCAL})
    spec = house.provider()
    assert (spec.priority, spec.layer) == (50, "operator")


def test_the_runtime_layer_is_the_topmost(house: House) -> None:
    """Vendor, operator, runtime: each above the one before."""
    house.write(
        {f"{layer}/providers.d/a.yml": LOCAL + f"priority: {n}\n" for n, layer in enumerate(("vendor", "operator", "runtime"))}
    )
    assert (house.provider().priority, house.provider().layer) == (2, "runtime")


@pytest.mark.parametrize("content", ["", "\n", "# switched off until the invoice is paid\n"])
def test_an_empty_file_masks(house: House, content: str) -> None:
    """Comments may say why."""
    house.write({"vendor/providers.d/a.yml": LOCAL, "operator/providers.d/a.yml": content})
    assert names(house) == []
    assert house.warnings() == []


def test_a_link_to_dev_null_masks(house: House) -> None:
    """The way systemd does it."""
    house.write({"vendor/providers.d/a.yml": LOCAL, "operator/providers.d/b.yml": LOCAL.replace("local", "other")})
    (house.root / "operator/providers.d/a.yml").symlink_to(os.devnull)
    assert names(house) == ["other"]


def test_a_higher_layer_unmasks_again(house: House) -> None:
    """A mask is a file like any other: what lies above it counts."""
    house.write({"vendor/providers.d/a.yml": LOCAL, "operator/providers.d/a.yml": "", "runtime/providers.d/a.yml": LOCAL})
    assert house.provider().layer == "runtime"


def test_a_mask_of_nothing_is_warned_about(house: House) -> None:
    """It is mostly a misspelt name."""
    house.write({"operator/providers.d/opneai.yml": ""})
    assert house.warnings() == [
        "operator/providers.d/opneai.yml: is empty, and masks nothing: no lower layer has a file of this name"
    ]


def test_routes_have_layers_too(house: House) -> None:
    """Replace, mask and add work the same for routes, in the order of file names over all layers."""
    house.write(
        {
            "vendor/routes.d/10-a.yml": ROUTE.format(name="a", path="/a"),
            "vendor/routes.d/20-b.yml": ROUTE.format(name="b", path="/b"),
            "vendor/routes.d/30-c.yml": ROUTE.format(name="c", path="/c"),
            "operator/routes.d/20-b.yml": ROUTE.format(name="b2", path="/b2"),
            "operator/routes.d/30-c.yml": "",
            "operator/routes.d/15-d.yml": ROUTE.format(name="d", path="/d"),
            "runtime/routes.d/05-e.yaml": ROUTE.format(name="e", path="/e"),
        }
    )
    assert [spec.name for spec in house.routes()] == ["e", "a", "d", "b2"]


def test_editors_droppings_are_left_out(house: House) -> None:
    """Only *.yml and *.yaml count, and nothing that begins with a dot."""
    bad = "not: [yaml"
    droppings = (
        ".a.yml.swp",
        "a.yml~",
        "#a.yml#",
        ".#a.yml",
        ".hidden.yml",
        "a.yml.dpkg-dist",
        "a.yml.rpmnew",
        "a.yml.bak",
        "README",
    )
    house.write({f"operator/providers.d/{name}": bad for name in droppings})
    house.write({f"operator/routes.d/{name}": bad for name in droppings})
    house.write({f"operator/config.d/{name}": bad for name in droppings})
    assert names(house.local("")) == ["local"]
    assert house.warnings() == []


def test_what_cannot_be_read_is_a_problem(house: House) -> None:
    """A directory, a pipe, a broken link, a file in place of a directory: each gets a sentence, and nobody waits for a pipe."""
    house.write(
        {"operator/providers.d/a.yml/x": "", "operator/config.d": "", "operator/routes.d/ok.yml": ROUTE.format(name="a", path="/")}
    )
    os.mkfifo(house.root / "operator/providers.d/b.yml")
    (house.root / "operator/providers.d/c.yml").symlink_to("nowhere")
    (house.root / "operator/routes.d/d.yml").symlink_to("d.yml")
    assert house.problems() == [
        "operator/config.d: cannot be read: Not a directory",
        "operator/providers.d/a.yml: is a directory",
        "operator/providers.d/b.yml: is not a regular file",
        "operator/providers.d/c.yml: is a link to nothing (a link to /dev/null masks)",
        "operator/routes.d/d.yml: cannot be read: Too many levels of symbolic links",
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_forbidden_file_is_a_problem(house: House) -> None:
    """As a service's own user meets it."""
    house.local("")
    (house.root / "operator/providers.d/local.yml").chmod(0)
    assert house.problems() == [
        f"operator/providers.d/local.yml: cannot be read: Permission denied (for the user {name_of_user()})"
    ]


def test_a_file_that_is_not_utf8_is_a_problem(house: House) -> None:
    """The place is that of the first bad byte, counted in characters."""
    house.write({"operator/providers.d/a.yml": "provider: a\n# ä ".encode() + b"\xe4\n"})
    assert house.problems() == ["operator/providers.d/a.yml:2:5: is not UTF-8 (byte 0xe4)"]


def test_a_file_name_of_strange_bytes_can_be_printed(house: House) -> None:
    """Problems go to logs, which are UTF-8."""
    house.write({"operator/providers.d/x": ""})
    Path(os.fsdecode(os.fsencode(house.root / "operator/providers.d") + b"/\xe4.yml")).write_text("a: [")
    assert house.problems()[0].encode().startswith(rb"operator/providers.d/\xe4.yml:")


def test_missing_layers_are_no_problem(tmp_path: Path) -> None:
    """A relay without any configuration is an open relay without providers."""
    assert House(tmp_path).load().providers == ()


# ---------------------------------------------------------------------------------------------------- extends


def test_a_template_is_no_provider(house: House) -> None:
    """It is there to be extended."""
    assert names(house) == []
    spec = house.local("").provider()
    assert [(offer.capability, offer.path) for offer in spec.offers] == [
        ("openai.chat", "/chat/completions"),
        ("openai.models", "/models"),
    ]


def test_extends_merges_mapping_by_mapping(house: House) -> None:
    """Mappings are laid upon each other, lists and scalars replace, null takes away."""
    house.write(
        {
            "vendor/providers.d/base.yml": """\
provider: base
template: true
priority: 7
keys: [{label: a, secret: "${A:-1}"}, {label: b, secret: "${B:-2}"}]
models: {include: [x, y], exclude: [z]}
timeouts: {connect: 1, idle: 2, total: 3}
offers:
  openai.chat: {path: /chat, headers: {request: {set: {X-A: "1", x-b: "2"}}}}
  openai.models: /models
  credits: /credits
headers: {request: {forward: [a, b], set: {x-c: "3"}, remove: {x-d: [t]}}}
""",
            "operator/providers.d/mine.yml": """\
provider: mine
extends: base
base_url: http://x
keys: [{label: c, secret: "${C:-3}"}]
models: {include: [w]}
timeouts: {total: null, idle: 9}
offers:
  openai.chat: {timeout: 5, headers: {request: {set: {x-a: null, x-e: "5"}}}}
  openai.models: /other
  credits: null
headers: {request: {forward: [c], set: {X-C: "4"}, remove: [x-f]}}
""",
        }
    )
    spec = house.provider("mine")
    assert spec.priority == 7
    assert [key.label for key in spec.keys] == ["c"]
    assert (spec.include, spec.exclude) == (("w",), ("z",))
    assert spec.timeouts == {"connect": 1.0, "idle": 9.0, "total": None}
    chat, models = spec.offers
    assert (chat.path, chat.timeouts) == ("/chat", {"first_byte": 5.0, "idle": 5.0})
    assert chat.headers.request.set == (("x-b", "2"), ("x-e", "5"))
    assert (models.capability, models.path) == ("openai.models", "/other")
    rules = spec.headers.request
    assert (rules.forward, rules.set, rules.remove) == (("c",), (("x-c", "4"),), (("x-f", None),))


def test_every_value_knows_its_place(house: House) -> None:
    """Inherited ones too: file and line of whoever wrote them; what nobody wrote answers with its parent."""
    house.local("offers:\n  openai.chat: {timeout: 5}\n")
    origins = house.provider().origins
    places = {
        ("base_url",): "operator/providers.d/local.yml:3",
        ("offers", "openai.chat", "path"): "vendor/providers.d/openai-compatible.yml:4",
        ("offers", "openai.chat", "timeouts", "idle"): "operator/providers.d/local.yml:5",
        ("offers", "openai.models", "path"): "vendor/providers.d/openai-compatible.yml:5",
        ("offers", "openai.models", "headers"): "vendor/providers.d/openai-compatible.yml:5",
        ("priority",): "operator/providers.d/local.yml:1",
    }
    assert {path: str(origins.of(*path)).replace(f"{house.root}/", "") for path in places} == places


def test_a_provider_extends_itself_in_a_lower_layer(house: House) -> None:
    """Under the same file name and under another one; through all three layers."""
    house.write(
        {
            "vendor/providers.d/openai.yml": OPENAI + "priority: 1\nrate_limit_cooldown: 5\n",
            "operator/providers.d/90-mine.yml": "provider: openai\nextends: openai\npriority: 2\n",
            "runtime/providers.d/90-mine.yml": "provider: openai\nextends: openai\nenabled: false\n",
        }
    )
    (spec,) = house.load().providers
    assert (spec.priority, spec.rate_limit_cooldown, spec.enabled, spec.layer) == (2, 5.0, False, "runtime")
    assert spec.base_url == "https://api.openai.com/v1"


def test_a_template_may_extend_itself_and_others(house: House) -> None:
    """An operator who patches a template patches all that extend it, and it stays a template."""
    house.write(
        {
            "vendor/providers.d/special.yml": "provider: special\ntemplate: true\n"
            "extends: openai-compatible\noffers: {credits: /c}\n",
            "vendor/providers.d/a.yml": "provider: a\nextends: special\nbase_url: http://a\n",
            "operator/providers.d/any.yml": "provider: openai-compatible\nextends: openai-compatible\npriority: 9\n",
        }
    )
    (spec,) = house.load().providers
    assert (spec.name, spec.priority) == ("a", 9)
    assert [offer.capability for offer in spec.offers] == ["openai.chat", "openai.models", "credits"]


def test_a_masked_provider_cannot_be_extended(house: House) -> None:
    """What the layers below show is what counts."""
    house.write(
        {
            "vendor/providers.d/openai.yml": OPENAI,
            "operator/providers.d/openai.yml": "",
            "runtime/providers.d/x.yml": "provider: openai\nextends: openai\n",
        }
    )
    assert house.problems() == ["runtime/providers.d/x.yml:2:1: extends: no lower layer has a provider or template called openai"]


EXTENDS = {
    "misspelt": (
        {"operator/providers.d/a.yml": "provider: a\nextends: openai-compatibel\n"},
        ["operator/providers.d/a.yml:2:1: extends: no template is called openai-compatibel, did you mean openai-compatible?"],
    ),
    "no template": (
        {"vendor/providers.d/openai.yml": OPENAI, "operator/providers.d/a.yml": "provider: a\nextends: openai\n"},
        [
            "operator/providers.d/a.yml:2:1: extends: openai is no template:"
            " only a template, or the same provider of a lower layer, can be extended"
        ],
    ),
    "itself, but nothing below": (
        {"operator/providers.d/a.yml": "provider: a\nextends: a\n"},
        ["operator/providers.d/a.yml:2:1: extends: no lower layer has a provider or template called a"],
    ),
    "a circle": (
        {
            "vendor/providers.d/a.yml": "provider: a\ntemplate: true\nextends: b\n",
            "vendor/providers.d/b.yml": "provider: b\ntemplate: true\nextends: a\n",
            "operator/providers.d/c.yml": "provider: c\nextends: b\nbase_url: http://c\n",
        },
        ["vendor/providers.d/b.yml:3:1: extends: goes round in a circle: a → b → a"],
    ),
    "no name": ({"operator/providers.d/a.yml": "base_url: http://x\n"}, ["operator/providers.d/a.yml:1:1: provider: is missing"]),
    "no base URL": ({"operator/providers.d/a.yml": "provider: a\n"}, ["operator/providers.d/a.yml:1:1: base_url: is missing"]),
    "no base URL, but a near miss": (
        {"vendor/providers.d/openai.yml": OPENAI, "operator/config.yml": "providers:\n  opneai:\n    priority: 1\n"},
        ["operator/config.yml:2:3: providers.opneai.base_url: is missing, did you mean openai?"],
    ),
    "defined twice": (
        {"vendor/providers.d/openai.yml": OPENAI, "operator/providers.d/mine.yml": OPENAI},
        [
            "operator/providers.d/mine.yml:1:1: provider: openai is defined in vendor/providers.d/openai.yml:1, too:"
            " name the file openai.yml to replace it, or say `extends: openai` to build upon it"
        ],
    ),
    "defined twice in one layer": (
        {"operator/providers.d/a.yml": OPENAI, "operator/providers.d/b.yml": OPENAI},
        ["operator/providers.d/b.yml:1:1: provider: openai is defined in operator/providers.d/a.yml:1, too"],
    ),
    "one name to clients": (
        {
            "operator/providers.d/a.yml": LOCAL.replace("local", "my-llm"),
            "operator/providers.d/b.yml": LOCAL.replace("local", "My_LLM"),
        },
        [
            "operator/providers.d/b.yml:1:1: provider: clients cannot tell My_LLM from my-llm"
            " (operator/providers.d/a.yml:1): case, - and _ do not count"
        ],
    ),
}


@pytest.mark.parametrize("case", EXTENDS)
def test_what_extends_cannot_mean(house: House, case: str) -> None:
    """One sentence for each fault, and none for what follows from it."""
    files, expected = EXTENDS[case]
    assert [line.replace(f"{house.root}/", "") for line in house.write(files).problems()] == expected


def test_a_broken_file_is_blamed_alone(house: House) -> None:
    """Who extends or names a provider whose file cannot be read is not told that it does not exist."""
    house.write(
        {
            "vendor/providers.d/openai-compatible.yml": "provider: openai-compatible\ntemplate: [\n",
            "vendor/providers.d/50-x.yml": "provider: 'openai'\nx: [\n",
            "operator/providers.d/local.yml": LOCAL,
            "operator/config.yml": "model_routing: {provider_mapping: {a: openai}, aliases: {b: c@openai}}\n"
            "providers: {openai: {priority: 1}}\n",
        }
    )
    broken = [line.split(":")[0] for line in house.problems()]
    assert broken == ["vendor/providers.d/50-x.yml", "vendor/providers.d/openai-compatible.yml"]


# ---------------------------------------------------------------------------------------------------- config.yml's own


def test_an_inline_provider_extends_the_shipped_one(house: House) -> None:
    """Three lines in config.yml change one value of a shipped provider."""
    house.write({"vendor/providers.d/50-router.yml": OPENAI.replace("openai\n", "openrouter\n", 1) + "priority: 4\n"})
    house.settings("providers:\n  openrouter:\n    rate_limit_cooldown: 6   # seconds\n")
    (spec,) = house.load().providers
    assert (spec.name, spec.rate_limit_cooldown, spec.priority, spec.layer) == ("openrouter", 6.0, 4, "operator")
    assert str(spec.origins.of("rate_limit_cooldown")).endswith("/operator/config.yml:3")
    assert str(spec.origins.of("priority")).endswith("/vendor/providers.d/50-router.yml:5")


def test_an_inline_provider_may_be_new(house: House) -> None:
    """With a template, or with offers of its own."""
    house.settings(
        "providers:\n"
        "  a: {extends: openai-compatible, base_url: http://a}\n"
        "  b: {base_url: http://b, offers: {x: /x}, timeout: 3}\n"
    )
    a, b = house.load().providers
    assert (a.name, len(a.offers), b.name, len(b.offers), b.timeouts) == ("a", 2, "b", 1, {"first_byte": 3.0, "idle": 3.0})


def test_an_inline_provider_may_replace(house: House) -> None:
    """Who says what it extends gets that, and nothing of the shipped one."""
    house.write({"vendor/providers.d/openai.yml": OPENAI + "priority: 3\n"})
    house.settings("providers:\n  openai: {extends: openai-compatible, base_url: http://mirror}\n")
    (spec,) = house.load().providers
    assert (spec.base_url, spec.priority) == ("http://mirror", 50)


def test_an_inline_template_stays_a_template(house: House) -> None:
    """A patch of a template in config.yml reaches all that extend it."""
    house.local("").settings("providers:\n  openai-compatible: {priority: 8}\n")
    assert [(spec.name, spec.priority) for spec in house.load().providers] == [("local", 8)]


def test_the_runtime_layer_masks_and_extends_inline_providers(house: House) -> None:
    """For the layers above, an entry counts as the file of its name."""
    house.settings(
        "providers:\n  a: {extends: openai-compatible, base_url: http://a}\n  b: {extends: openai-compatible, base_url: http://b}\n"
    )
    house.write({"runtime/providers.d/a.yml": "", "runtime/providers.d/x.yml": "provider: b\nextends: b\npriority: 1\n"})
    config = house.load()
    assert [(spec.name, spec.priority, spec.layer) for spec in config.providers] == [("b", 1, "runtime")]
    assert config.warnings == ()


def test_inline_and_file_in_one_layer_are_a_problem(house: House) -> None:
    """Neither is above the other."""
    house.local("").settings("providers:\n  local: {priority: 1}\n")
    assert house.problems() == [
        f"operator/config.yml:2:3: providers.local: local is defined in {house.root}/operator/providers.d/local.yml:1, too".replace(
            f"{house.root}/", ""
        )
    ]


def test_problems_of_inherited_values_are_told_where_they_are_written(house: House) -> None:
    """With the path that their own file has for them, once, however many providers inherit them."""
    house.write(
        {"vendor/providers.d/t.yml": "provider: t\ntemplate: true\noffers: {a: /a}\nbase_url: ${NOPE}\ntimeout: ${NEVER}\n"}
    )
    house.write({f"operator/providers.d/{n}.yml": f"provider: p{n}\nextends: t\n" for n in range(3)})
    house.settings("providers:\n  q: {extends: t}\n")
    assert house.problems() == [
        "vendor/providers.d/t.yml:4:1: base_url: the environment variable NOPE is not set"
        " (write ${NOPE:-} where it may be missing)",
        "vendor/providers.d/t.yml:5:1: timeout: the environment variable NEVER is not set"
        " (write ${NEVER:-} where it may be missing)",
    ]
