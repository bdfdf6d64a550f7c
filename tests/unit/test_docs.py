"""What docs and examples name is there, in Salt or in ours; what they show is read by what it is for; links lead on."""

import ast
import functools
import importlib.util
import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml

from saltext.wireguard.meshfile.entries import NODE_KEYS
from saltext.wireguard.meshfile.load import load_mesh
from saltext.wireguard.meshfile.parse import parse_mesh
from saltext.wireguard.node import pillar as node_pillar
from saltext.wireguard.registry.history import Entry
from saltext.wireguard.report.mermaid import mermaid
from saltext.wireguard.review.graph import graph

pytest.importorskip("salt")

REPO = Path(__file__).resolve().parents[2]
PAGES = [
    *sorted(REPO.glob("*.md")),
    *sorted(path for part in ("docs", "lab", "examples") for path in (REPO / part).rglob("*.md")),
]
EXAMPLES = sorted(path for path in (REPO / "examples").rglob("*") if path.suffix in (".yml", ".conf", ".sls"))
KINDS = ("modules", "runners", "states")
LINK = re.compile(r"\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
# `salt [options] TARGET function`, and the others, whose function comes first.
COMMAND = re.compile(
    r"(?<![\w/.-])(?:salt(?: -[CELGN])? (?!-)(?:'[^']*'|[\w*@,.-]+)|salt-ssh (?!-)[\w'*.-]+"
    r"|salt-call(?: --?[\w=]+)*|(?P<run>salt-run)(?: -c \w+| --?[\w=]+)*)"
    r"\s+(?P<function>[a-z_]+\.[a-z_]+)(?P<rest>[^`|#]*)"
)


def by_name(path: Path) -> Any:
    return pytest.param(path, id=str(path.relative_to(REPO)))


def blocks(page: Path, *languages: str) -> Iterator[str]:
    """The fenced blocks of a page in these languages, without the indentation of the list that they are in."""
    for _, language, text in BLOCK.findall(page.read_text()):
        if language in languages:
            yield textwrap.dedent(text)


def code(page: Path) -> Iterator[str]:
    """What stands in backticks, and the lines of commands."""
    yield from CODE.findall(BLOCK.sub("", page.read_text()))
    for block in blocks(page, "console", "bash"):
        yield from block.splitlines()


# -- what there is


def salt_folder(kind: str) -> Path:
    spec = importlib.util.find_spec("salt")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / kind


@functools.cache
def sources(kind: str) -> dict[str, list[Path]]:
    """The files of Salt and of ours by the name that they have for Salt's loader."""
    found: dict[str, list[Path]] = {}
    for path in [*salt_folder(kind).glob("*.py"), *(REPO / f"_{kind}").glob("wireguard*.py")]:
        virtual = re.search(r"^__virtualname__ = \"(\w+)\"", path.read_text(), re.MULTILINE)
        found.setdefault(virtual[1] if virtual else path.stem, []).append(path)
    return found


@functools.cache
def arguments(kind: str, name: str) -> set[str] | None:
    """The names of a function's arguments, with `**` if it takes any. None for one that does not exist."""
    module, _, function = name.partition(".")
    known: set[str] | None = None
    for path in sources(kind).get(module, []):
        tree = ast.parse(path.read_text())
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name in (function, f"{function}_"):
                every = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
                known = (known or set()) | {each.arg for each in every} | ({"**"} if node.args.kwarg else set())
            elif isinstance(node, ast.Assign) and f"{function} = " in ast.unparse(node).partition("(")[0] + " = ":
                known = (known or set()) | {"**"}
    return known


def assert_takes(kind: str, name: str, given: set[str], where: str) -> None:
    known = arguments(kind, name)
    assert known is not None, f"{name} is in no {kind}: {where}"
    always = {"test", "force", "reason", "timeout"} if name == "state.apply" else {"name", "require", "watch", "order"}
    if "**" not in known:
        assert given - known - (always if kind != "runners" else set()) == set(), where


@functools.cache
def salt_options() -> set[str]:
    import salt.config

    return set(salt.config.VALID_OPTS) | set(salt.config.DEFAULT_MASTER_OPTS) | set(salt.config.DEFAULT_MINION_OPTS)


@functools.cache
def own_text() -> str:
    """All that we ship, without the pages."""
    parts = ("_*/**/*.py", "salt/**/*", "lab/**/*", "bench/*", "tests/**/*.py", ".ci/*", "*.cfg", "*.toml", "Makefile")
    paths = chain.from_iterable(REPO.glob(part) for part in parts)
    return "\n".join(path.read_text(errors="replace") for path in paths if path.is_file() and path.suffix != ".md")


# -- links


@pytest.mark.parametrize("page", [*map(by_name, PAGES)])
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        if not target.startswith(("http://", "https://")):
            path, _, anchor = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            assert file.exists(), target
            assert file.is_relative_to(REPO), target
            assert not anchor or anchor in anchors(file), target


def anchors(page: Path) -> set[str]:
    """As forges make them from headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


# -- names in code


@pytest.mark.parametrize("page", [*map(by_name, PAGES)])
def test_the_functions_of_commands_exist_and_take_what_they_are_given(page: Path) -> None:
    for line in code(page):
        for command in COMMAND.finditer(line):
            kind = "runners" if command["run"] else "modules"
            name, rest = command["function"], command["rest"]
            given = {word for word in re.findall(r"(?:^| )(\w+)=", rest) if not word.startswith("_")}
            if name == "state.single":
                kind, name = "states", rest.split()[0]
            assert_takes(kind, name, given, line)


@pytest.mark.parametrize("page", [*map(by_name, PAGES)])
def test_a_name_with_a_dot_is_a_function_a_state_or_a_file(page: Path) -> None:
    library = REPO / "_utils/saltext/wireguard"
    rooms = {".".join(path.relative_to(library).with_suffix("").parts) for path in library.rglob("*.py")}
    states = {
        ".".join(path.relative_to(REPO / "salt").with_suffix("").parts) for path in (REPO / "salt").rglob("*.sls")
    }
    for text in code(page):
        match = re.fullmatch(r"([a-z_]+\.[a-z_]+)( [^|]*)?", text)
        if not match or match[1] in rooms | states or match[1].startswith("saltext."):
            continue
        name = match[1]
        if not any(arguments(kind, name) is not None for kind in KINDS):
            assert is_file_of_ours(name), f"{name} is no function of Salt or of ours, no state and no file"


def is_file_of_ours(name: str) -> bool:
    tail = re.sub(r"^(wg\d|mesh|top|<interface>)(?=\.)", "", name)
    return tail in own_text() or any(REPO.rglob(name)) or name in ("master.d", "minion.d", "roster.d")


@pytest.mark.parametrize("page", [*map(by_name, PAGES)])
def test_a_path_into_this_repository_exists(page: Path) -> None:
    parts = {path.name for path in REPO.iterdir() if path.is_dir()} - {"salt", ".git"}
    for text in code(page):
        for path in re.findall(r"(?<![\w/.-])([\w.]+/[\w./-]*\w)", text):
            if path.partition("/")[0] in parts and not path.startswith((".venv", "build/", "dist/")):
                assert (REPO / path).exists(), text


@pytest.mark.parametrize("page", [*map(by_name, PAGES)])
def test_a_name_with_an_underscore_is_in_our_sources_or_an_option_of_salt(page: Path) -> None:
    for text in CODE.findall(BLOCK.sub("", page.read_text())):
        for name in re.findall(r"(?<![\w/.$-])[a-z]+(?:_[a-z]+)+(?![\w/.-])", text):
            assert name in salt_options() or re.search(rf"\b{name}\b", own_text()), f"{name} in `{text}`"


@pytest.mark.parametrize("page", [*map(by_name, PAGES)])
def test_a_target_of_make_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (REPO / "Makefile").read_text(), re.MULTILINE))
    for text in code(page):
        assert set(re.findall(r"(?:^|[#$] )make ([a-z0-9-]+)", text)) <= targets, text


@pytest.mark.parametrize(("folder", "heading"), [("_runners", "`salt-run"), ("_modules", "`salt-call")])
def test_every_function_has_its_exit_codes_in_the_table(folder: str, heading: str) -> None:
    section = (REPO / "docs/operate.md").read_text().partition("\n## Exit codes")[2].partition("\n## ")[0]
    table = section.partition(f"\n{heading} ")[2].partition("\n`salt-")[0]
    named = {name for names in re.findall(r"^\| (.+?) \| \d+ \|", table, re.MULTILINE) for name in CODE.findall(names)}
    trees = [ast.parse(path.read_text()) for path in (REPO / folder).glob("*.py")]
    functions = {node.name.rstrip("_") for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert named == {name for name in functions if not name.startswith("_")}


# -- messages


@functools.cache
def templates() -> list[str]:
    """The texts in our sources, with `{}` in the place of what is known later only."""
    paths = chain.from_iterable(REPO.glob(part) for part in ("_*/**/*.py", "salt/**/*.sls"))
    found = []
    for path in paths:
        if path.suffix == ".sls":
            found.append(path.read_text())
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


def error_messages() -> list[str]:
    page = (REPO / "docs/troubleshooting.md").read_text()
    return re.findall(r"^\| `(.+?)` \|", page.partition("## Error messages")[2], re.MULTILINE)


@pytest.mark.parametrize("message", error_messages())
def test_an_explained_message_is_one_of_ours(message: str) -> None:
    """Every part between dots; a word such as `wg0` stands for whatever the source puts there."""
    for part in filter(None, map(str.strip, message.split("..."))):
        words = re.split(
            r"/etc/wireguard/wg0\.conf|systemd-networkd|\bwg0\b|\bthe network [A-Z]\b|\b120\b|(?<=IPv)4|\bhave\b", part
        )
        pattern = ".*".join(map(re.escape, words))
        assert any(re.search(pattern, text, re.DOTALL) for text in templates()), part


# -- YAML


@pytest.mark.parametrize("page", [*map(by_name, PAGES)])
def test_every_yaml_block_is_what_it_is_for(page: Path) -> None:
    for block in blocks(page, "yaml"):
        assert_is_read(block, page.read_text())


def test_the_example_of_a_pillar_has_every_setting() -> None:
    text = (REPO / "pillar.example").read_text()
    assert_is_read(text, "")
    settings = set(re.findall(r"\bconfig\(\"(\w+)\"|\b_number\(\"(\w+)\"", own_text()))
    named = {each for pair in settings for each in pair if each} | {"install_packages", "lookup", "interfaces", "clean"}
    assert set(yaml.safe_load(text)["wireguard"]) == named


@pytest.mark.parametrize("path", [*map(by_name, EXAMPLES)])
def test_every_example_is_what_it_is_for(path: Path) -> None:
    if path.suffix == ".yml":
        assert load_mesh(str(path)).networks
    else:
        assert_is_read(path.read_text(), "")


def assert_is_read(text: str, page: str) -> None:
    """Tell by the keys what a block is for, and have it read by that."""
    data = yaml.safe_load(rendered(text))
    if data is None:
        return  # a comment for editors
    assert isinstance(data, dict), text
    if set(data) == {"networks"}:
        assert parse_mesh([("mesh.yml", text)]).networks
    elif set(data) == {"wireguard"}:
        assert_is_pillar_or_setting(data, text)
    elif set(data) <= salt_options():
        assert_is_configuration(data, page + text)
    elif all(isinstance(value, dict) and set(value) <= set(NODE_KEYS) for value in data.values()):
        nodes = {"networks": {"backbone": {"subnets": ["10.42.0.0/16"], "nodes": data}}}
        assert parse_mesh([("mesh.yml", json.dumps(nodes))]).networks
    elif set(data) == {"base"}:
        assert data["base"]
    elif set(data) == {"repos"}:
        ours = {hook["id"] for hook in yaml.safe_load((REPO / ".pre-commit-hooks.yaml").read_text())}
        assert {hook["id"] for repo in data["repos"] for hook in repo["hooks"]} == ours
    else:
        assert_is_sls(data)


# -- pictures

PICTURE = re.compile(r"^<!-- graph: (.+) -->\n```mermaid\n(.*?)```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", [by_name(page) for page in PAGES if "<!-- graph: " in page.read_text()])
def test_a_picture_of_a_mesh_is_what_the_command_prints_of_its_file(page: Path) -> None:
    """The file is one of the repository, or the block above the picture."""
    text = page.read_text()
    pictures = [*PICTURE.finditer(text)]
    assert len(pictures) == text.count("<!-- graph: ")
    for picture in pictures:
        above = [block for _, language, block in BLOCK.findall(text[: picture.start()]) if language == "yaml"]
        mesh = parse_mesh([("", above[-1])]) if picture[1] == "above" else load_mesh(str(REPO / picture[1]))
        assert picture[2] == mermaid(graph(mesh, 0.0)) + "\n"


@pytest.mark.parametrize("program", re.findall(r"`(\w+\.py [^`]+)`", (REPO / "docs/scale.md").read_text()))
def test_what_the_page_on_scale_names_was_run_that_large(program: str) -> None:
    assert f"| `{program}` |" in (REPO / "bench/README.md").read_text()


def rendered(text: str) -> str:
    """With values in the place of Jinja's expressions: those of an event, where it is a reaction."""
    import jinja2

    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    environment.filters["json"] = environment.filters["tojson"] = json.dumps
    event = Entry(1, 0.0, "backbone", "web7", "revoked", "root", "stolen", {})
    return environment.from_string(text).render(data=vars(event))


def assert_is_pillar_or_setting(data: Mapping[str, Any], text: str) -> None:
    if "interfaces" in data["wireguard"]:
        peers = chain.from_iterable(each["peers"].values() for each in data["wireguard"]["interfaces"].values())
        for peer in peers:
            if peer.get("preshared_key") == "...":  # what nobody should copy
                del peer["preshared_key"]
        assert node_pillar.all_views(data)
    else:
        for setting in data["wireguard"]:
            assert re.search(rf"\b{setting}\b", own_text()), f"{setting}: {text}"


def assert_is_configuration(data: Mapping[str, Any], where: str) -> None:
    for entry in data.get("ext_pillar", []):
        assert set(entry["wireguard"]) <= set(parameters("_pillar", "ext_pillar")) - {"minion_id", "pillar"}
        secret = re.match(r"sdb://(\w+)/", entry["wireguard"].get("preshared_secret", ""))
        assert secret is None or (salt_folder("sdb") / f"{secret[1]}.py").exists() or f"`saltext.{secret[1]}`" in where
    for entry in data.get("engines", []):
        assert set(entry["wireguard"]) <= set(parameters("_engines", "start"))
    for sls in chain.from_iterable(chain.from_iterable(entry.values()) for entry in data.get("reactor", [])):
        path = sls.removeprefix("salt://")
        assert (REPO / "salt" / path).exists() or f"/srv/salt/{path}" in where, sls
    for job in data.get("schedule", {}).values():
        kinds = [kind for kind in ("modules", "runners") if arguments(kind, job["function"]) is not None]
        assert kinds, job["function"]


def parameters(folder: str, function: str) -> list[str]:
    tree = ast.parse((REPO / folder / "wireguard.py").read_text())
    (node,) = (each for each in tree.body if isinstance(each, ast.FunctionDef) and each.name == function)
    return [each.arg for each in node.args.args]


def assert_is_sls(data: Mapping[str, Any]) -> None:
    """A state file, or a reaction: there, the function has the kind of job before it."""
    jobs = {"local": "modules", "runner": "runners"}
    for declaration in data.values():
        assert isinstance(declaration, dict), data
        for name, given in declaration.items():
            kind, _, function = name.partition(".")
            if kind in jobs:
                (args,) = (each["args"] for each in given if "args" in each)
                assert_takes(jobs[kind], function, {key for each in args for key in each}, name)
            else:
                assert_takes("states", name, {key for each in given for key in each}, name)
