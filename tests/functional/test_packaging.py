"""Every way of deployment, tried with a real Salt: wheel, editable installation, synced modules, ``module_dirs``."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

import saltext.wireguard

pytest.importorskip("salt")

REPO = Path(__file__).resolve().parents[2]
MASTER_SIDE = ("engines", "output", "pillar", "runners")
LIBRARY = "saltext.wireguard.model.view"

# Loads what a master loads, and prints where from: {kind: file}, with the library's package among them.
LOAD_MASTER_SIDE = """
import json, sys
import salt.config, salt.loader

LIBRARY = "saltext.wireguard.model.view"
opts = salt.config.master_config(sys.argv[1])
opts["grains"] = {}
utils = salt.loader.utils(opts)
functions = salt.loader.minion_mods(opts, utils=utils)
runners = salt.loader.runner(opts, utils=utils)
assert "wireguard.reconcile" in runners
assert "wireguard.start" in salt.loader.engines(opts, functions, runners, utils)
assert "wireguard" in salt.loader.outputters(opts)
assert salt.loader.pillars(opts, functions)["wireguard"]("no-such-minion", {}, mesh="/no/such/file") == {}
files = {}
for name, module in list(sys.modules.items()):
    if name.startswith("salt.loaded.") and name.endswith(".wireguard"):
        files[name.split(".")[-2]] = module.__file__
    if name == LIBRARY:
        files[name] = module.__file__
print(json.dumps(files))
"""

# Loads the beacon as a minion does, which has our functions and no library on its path. Prints what one look tells.
LOOK_BY_BEACON = """
import json, sys
import salt.config, salt.loader

opts = salt.config.minion_config(sys.argv[1])
opts["grains"] = {}
functions = salt.loader.minion_mods(opts, utils=salt.loader.utils(opts))
beacons = salt.loader.beacons(opts, functions)
config = [{"interval": 10, "_beacon_name": "wireguard"}]
assert beacons["wireguard.validate"](config)[0]
assert "wireguard.watch" in functions
print(json.dumps(beacons["wireguard.beacon"](config)))
"""

# Starts the watchdog as an apply does, with no trial that it could end, and prints its exit code.
RUN_WATCHDOG = """
import importlib, json, sys

cachedir, *paths = sys.argv[1:]
sys.path[:0] = paths
trial = importlib.import_module("saltext.wireguard.node.trial")
print(json.dumps(trial._start_watchdog(cachedir, "wg0", "none", 0).wait()))
"""


@dataclass(frozen=True)
class Install:
    """A virtual environment with Salt, and a minion and a master configuration of its own in ``root``."""

    python: Path
    root: Path

    def configure(self, **options: Any) -> None:
        """Write both configuration files; JSON is YAML."""
        common = {"root_dir": str(self.root / "disk"), "log_level": "error", "id": "packaging"}
        minion = {"file_client": "local", "enable_fqdns_grains": False, "enable_gpu_grains": False}
        master = {"ext_pillar": [{"wireguard": {"mesh": "/no/such/file"}}]}
        for name, own in (("minion", minion), ("master", master)):
            (self.root / name).write_text(json.dumps(common | own | options))

    def pip(self, *args: str) -> None:
        """Run the environment's pip on this installation; it needs no network."""
        offline = ("--quiet", "--no-index", "--no-deps", "--no-build-isolation")
        run([sys.executable, "-m", "pip", "--python", str(self.python), "install", *offline, *args])

    def salt(self, command: str, *args: str) -> Any:
        """Run a command of Salt and return what it printed as JSON."""
        script = Path(sys.executable).parent / command
        argv = [str(self.python), str(script), "-c", str(self.root), "--out=json", *args]
        return json.loads(run(argv, cwd=self.root))

    def call(self, *args: str) -> Any:
        """Run ``salt-call --local`` and return its result."""
        return self.salt("salt-call", "--local", *args)["local"]

    def evaluate(self, code: str, *args: str) -> Any:
        """Run Python code that prints JSON."""
        return json.loads(run([str(self.python), "-c", code, *args], cwd=self.root))

    def look_by_beacon(self) -> Any:
        """Have the beacon look once; return its events."""
        return self.evaluate(LOOK_BY_BEACON, str(self.root / "minion"))

    def master_side(self) -> dict[str, str]:
        """Load pillar, runners and engines as a master does; return the files they came from."""
        return self.evaluate(LOAD_MASTER_SIDE, str(self.root / "master"))


def run(argv: list[str], cwd: Path | None = None) -> str:
    env = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "SALT_CONFIG_DIR")}
    done = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, f"{' '.join(argv)}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the checkout without what is ignored, so that nothing is built or written in the real one."""
    listed = run(["git", "-c", "safe.directory=*", "-C", str(REPO), "ls-files", "-zco", "--exclude-standard"])
    for name in filter(None, listed.split("\0")):
        if (REPO / name).is_file():
            (tmp_path / "checkout" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPO / name, tmp_path / "checkout" / name)
    return tmp_path / "checkout"


@pytest.fixture
def install(tmp_path: Path) -> Install:
    """An environment that sees Salt and setuptools of the one that runs the tests, but has no extension yet."""
    root = tmp_path / "install"
    venv.create(root / "venv", with_pip=False, symlinks=True)
    made = Install(root / "venv" / "bin" / "python", root)
    paths = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    packages = Path(run([str(made.python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]).strip())
    (packages / "salt-of-the-tests.pth").write_text("\n".join(sorted(paths)))
    made.configure()
    (root / "disk/var/cache/salt/master/proc").mkdir(parents=True)  # salt-run expects what salt-master makes
    return made


def install_wheel(install: Install, checkout: Path) -> Path:
    """Build a wheel and install it, as `pip install .` does; the checkout is gone afterwards."""
    install.pip(str(checkout))
    shutil.rmtree(checkout)
    return install.root / "venv"


def install_editable(install: Install, checkout: Path) -> Path:
    """As `pip install -e .`; every module stays where it is."""
    install.pip("--editable", str(checkout))
    return checkout


def install_strict(install: Install, checkout: Path) -> Path:
    """As above, but by links from a build directory in the checkout."""
    install.pip("--config-settings", "editable_mode=strict", "--editable", str(checkout))
    return checkout


@pytest.mark.parametrize("method", [install_wheel, install_editable, install_strict])
def test_an_installed_package_brings_everything(
    install: Install, checkout: Path, method: Callable[[Install, Path], Path]
) -> None:
    place = method(install, checkout)
    file_root = install.evaluate("import json, saltext.wireguard as w; print(json.dumps(w.file_root()))")
    install.configure(file_roots={"base": [file_root]})
    assert install.call("wireguard.version") == version()
    assert_state_is_there(install)
    assert_sls_is_there(install)
    assert install.look_by_beacon() == []
    assert install.evaluate(RUN_WATCHDOG, str(install.root)) == 0
    files = install.master_side()
    assert set(files) == {*MASTER_SIDE, LIBRARY}
    assert all(Path(path).is_relative_to(place) for path in [file_root, *files.values()]), files


def test_a_wheel_has_every_file_of_the_source_folders(install: Install, checkout: Path) -> None:
    sources = {
        path.name
        for folder in [*checkout.glob("_*"), checkout / "salt"]
        for path in folder.rglob("*")
        if path.is_file()
    }
    install_wheel(install, checkout)
    installed = {path.name for path in install.root.rglob("saltext/wireguard/**/*") if path.is_file()}
    assert sources - installed == set()


def test_minions_and_master_sync_the_modules_from_their_file_roots(install: Install, checkout: Path) -> None:
    install.configure(file_roots={"base": [str(checkout), str(checkout / "salt")]})
    synced = install.call("saltutil.sync_all")
    assert "modules.wireguard" in synced["modules"]
    assert "beacons.wireguard" in synced["beacons"]
    assert install.call("wireguard.version") == version()
    assert install.look_by_beacon() == []
    assert_state_is_there(install)
    assert_sls_is_there(install)
    synced_utils = install.root / "disk/var/cache/salt/minion/extmods/utils"
    assert install.evaluate(RUN_WATCHDOG, str(install.root), str(synced_utils)) == 0
    install.salt("salt-run", "saltutil.sync_all")
    files = install.master_side()
    assert set(files) == {*MASTER_SIDE, LIBRARY}
    assert all(Path(path).is_relative_to(install.root / "disk") for path in files.values()), files


def gitfs_options(bare: Path) -> dict[str, Any]:
    """What docs/install.md says, with this repository."""
    page = (REPO / "docs/install.md").read_text().partition("## From gitfs")[2]
    text = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)[0]
    wanted = yaml.safe_load(text.replace("https://git.example.com/saltext-wireguard.git", f"file://{bare}"))
    assert len(wanted["gitfs_remotes"]) == 2
    return {**wanted, "gitfs_base": "main", "gitfs_provider": "gitpython"}


def commit(checkout: Path) -> None:
    author = ["-c", "user.name=tests", "-c", "user.email=tests@example.com"]
    run(["git", "-C", str(checkout), "add", "--all"])
    run(["git", "-C", str(checkout), *author, "commit", "--quiet", "--message", "a commit"])


@pytest.mark.slow
def test_minions_and_master_have_from_gitfs_what_was_pushed_last(install: Install, checkout: Path) -> None:
    bare = install.root / "bare.git"
    run(["git", "init", "--quiet", "--initial-branch=main", str(checkout)])
    commit(checkout)
    run(["git", "clone", "--quiet", "--bare", str(checkout), str(bare)])
    options = gitfs_options(bare)
    install.configure(**{**options, "ext_pillar": []})
    assert "modules.wireguard" in install.call("saltutil.sync_all")["modules"]
    first = install.call("wireguard.modules")
    assert first["synced"]
    assert_state_is_there(install)
    assert_sls_is_there(install)
    with (checkout / "_utils/saltext/wireguard/errors.py").open("a") as library:
        library.write("# newer\n")
    commit(checkout)
    run(["git", "-C", str(checkout), "push", "--quiet", str(bare), "main"])
    wanted = json.loads(run([sys.executable, "-c", DIGEST, str(checkout / "_utils")]))
    (synced,) = install.call("state.sls", "wireguard.modules", pillar(wanted)).values()
    assert "utils.saltext.wireguard.errors" in str(synced["changes"]), synced
    assert install.call("wireguard.modules")["digest"] == wanted != first["digest"]
    install.configure(**options)
    install.salt("salt-run", "fileserver.update")
    install.salt("salt-run", "saltutil.sync_all")
    files = install.master_side()
    assert set(files) == {*MASTER_SIDE, LIBRARY}
    utils = install.root / "disk/var/cache/salt/master/extmods/utils"
    assert json.loads(run([sys.executable, "-c", DIGEST, str(utils)])) == wanted


def test_module_dirs_finds_the_modules_in_a_checkout(install: Install, checkout: Path) -> None:
    install.configure(module_dirs=[str(checkout)])
    assert install.call("wireguard.version") == version()
    assert install.look_by_beacon() == []
    assert_state_is_there(install)
    files = install.master_side()
    assert set(files) == {*MASTER_SIDE, LIBRARY}
    assert all(Path(path).is_relative_to(checkout) for path in files.values()), files


def test_every_way_of_installation_has_the_same_digest_for_the_same_files(install: Install, checkout: Path) -> None:
    install.configure(module_dirs=[str(checkout)])
    from_checkout = install.call("wireguard.modules")
    install.configure(file_roots={"base": [str(checkout), str(checkout / "salt")]})
    install.call("saltutil.sync_all")
    synced = install.call("wireguard.modules")
    install.configure()
    install.call("saltutil.sync_all")
    assert list((install.root / "disk/var/cache/salt/minion/extmods").rglob("wireguard*.py")) == []
    found = [from_checkout, synced]
    for method in (install_strict, install_editable, install_wheel):
        method(install, checkout)
        found.append(install.call("wireguard.modules"))
    assert {each["digest"] for each in found} == {from_checkout["digest"]}
    assert [each["synced"] for each in found] == [False, True, False, False, False]


# A function that only a newer checkout has, and what it needs of the library.
NEWER = """
from saltext.wireguard.node.keys import newer as _newer

def newer():
    return _newer()
"""
USE_IT = "include: [wireguard.modules]\n\nuse it:\n  module.run:\n    - wireguard.newer: []\n"


def test_a_changed_checkout_is_synced_and_its_library_used_in_the_same_run(install: Install, checkout: Path) -> None:
    """Only the version decided, so commits never reached a minion; and a sync went on with the library of before."""
    states = install.root / "states"
    states.mkdir()
    (states / "use_it.sls").write_text(USE_IT)
    install.configure(file_roots={"base": [str(checkout), str(checkout / "salt"), str(states)]})
    install.call("saltutil.sync_all")
    assert modules_state(install, install.call("wireguard.modules")["digest"]) == {}
    with (checkout / "_utils/saltext/wireguard/node/keys.py").open("a") as library:
        library.write("\n\ndef newer():\n    return 'newer'\n")
    with (checkout / "_modules/wireguard.py").open("a") as module:
        module.write(NEWER)
    wanted = json.loads(run([sys.executable, "-c", DIGEST, str(checkout / "_utils")]))
    sync, use = install.call("state.sls", "use_it", pillar(wanted)).values()
    assert "utils.saltext.wireguard.node.keys" in str(sync["changes"]), sync
    assert use["changes"] == {"wireguard.newer": "newer"}, use
    assert install.call("wireguard.modules")["digest"] == wanted
    assert modules_state(install, wanted) == {}


def test_an_installed_package_that_differs_is_named_and_nothing_is_synced_over_it(
    install: Install, checkout: Path
) -> None:
    """The synced modules ran on the installed library, which Python finds first."""
    install.configure(file_roots={"base": [str(checkout), str(checkout / "salt")]})
    install.pip(str(checkout))
    (answer,) = install.call("state.sls", "wireguard.modules", pillar("0123456789abcdef")).values()
    assert (answer["result"], answer["changes"]) == (True, {})
    (warning,) = answer["warnings"]
    assert f"go on using those in {install.root}" in warning
    assert not (install.root / "disk/var/cache/salt/minion/extmods/modules/wireguard.py").exists()


def as_in_onedir(install: Install) -> Path:
    """
    Salt's own Python, as far as its ``salt-pip`` goes: the folder to which that installs, which is not the folder that
    Salt itself is in. The program is Salt's, the Python around it is not.
    """
    root = install.root / "onedir"
    extras = root / "extras-{}.{}".format(*sys.version_info)
    extras.mkdir(parents=True)
    packages = next((install.root / "venv/lib").glob("python*/site-packages"))
    (packages / "extras.pth").write_text(str(extras))
    (packages / "sitecustomize.py").write_text(f"import pathlib, sys\nsys.RELENV = pathlib.Path({str(root)!r})\n")
    program = f"#!{install.python}\nfrom salt.scripts import salt_pip\nsalt_pip()\n"
    (root / "salt-pip").write_text(program)
    (root / "salt-pip").chmod(0o755)
    return extras


@pytest.mark.slow
@pytest.mark.parametrize("is_onedir", [False, True], ids=["virtual environment", "salt-pip"])
def test_the_states_install_the_package_and_install_it_again_once_it_is_gone(
    install: Install, checkout: Path, is_onedir: bool
) -> None:
    place = as_in_onedir(install) if is_onedir else install.root / "venv"
    served = install.root / "served"
    served.mkdir()
    offline = ("--quiet", "--no-index", "--no-deps", "--no-build-isolation")
    run([sys.executable, "-m", "pip", "wheel", *offline, "--wheel-dir", str(served), str(checkout)])
    (wheel,) = served.iterdir()
    install.configure(file_roots={"base": [str(checkout / "salt"), str(served)]})
    wanted = json.loads(run([sys.executable, "-c", DIGEST, str(checkout / "_utils")]))
    member = pillar(wanted, package=f"salt://{wheel.name}")
    for _ in range(2):
        (applied,) = install.call("state.sls", "wireguard.modules", member).values()
        # Salt 3006 writes the name with a dot.
        installed = [name.replace("saltext.", "saltext-") for name in applied["changes"]]
        assert installed == [f"saltext-wireguard=={version()}"], applied
        found = install.call("wireguard.modules")
        assert (found["digest"], found["synced"]) == (wanted, False)
        assert Path(found["folder"]).is_relative_to(place)
        assert install.call("state.show_sls", "wireguard.modules", member) == {}
        for folder in place.rglob("saltext*"):  # as an upgrade of Salt to another Python does
            shutil.rmtree(folder)


# What the master's pillar says of a checkout.
DIGEST = """
import json, sys
sys.path.insert(0, sys.argv[1])
from saltext.wireguard import deployment
print(json.dumps(deployment.digest()))
"""


def pillar(digest: str, **lookup: str) -> str:
    """As of a member, with the digest of the master's files."""
    return "pillar=" + json.dumps({"wireguard": {"networks": {}, "modules_digest": digest, "lookup": lookup}})


def modules_state(install: Install, digest: str) -> Any:
    """What would be done about the modules, without doing it."""
    return install.call("state.show_sls", "wireguard.modules", pillar(digest))


@pytest.mark.slow
def test_pre_commit_installs_the_hook_and_refuses_a_commit_with_an_invalid_mesh_file(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Needs PyPI: the hook's environment gets the package and what that needs."""
    run(["git", "init", "--quiet", str(checkout)])
    commit(checkout)
    users = tmp_path / "users"
    users.mkdir()
    run(["git", "init", "--quiet", str(users)])
    monkeypatch.setenv("PRE_COMMIT_HOME", str(tmp_path / "pre-commit"))
    for subnets, code in (("subnet", 1), ("subnets", 0)):
        (users / "mesh.yml").write_text(
            f"networks:\n  backbone:\n    {subnets}: [10.42.0.0/16]\n    nodes: {{a: {{}}}}\n"
        )
        run(["git", "-C", str(users), "add", "--all"])
        argv = [sys.executable, "-m", "pre_commit", "try-repo", str(checkout), "wireguard-mesh", "--all-files"]
        done = subprocess.run(argv, cwd=users, capture_output=True, text=True, check=False, timeout=900)
        assert done.returncode == code, done.stdout + done.stderr
        assert ("mesh.yml:2: error: " in done.stdout) is bool(code), done.stdout


def version() -> str:
    return saltext.wireguard.__version__


def assert_state_is_there(install: Install) -> None:
    """By a state that finds nothing to do."""
    (answer,) = install.call("state.single", "wireguard.absent", "name=wg-none", "test=True").values()
    assert answer["result"] is True, answer
    assert "not set up" in answer["comment"]


def assert_sls_is_there(install: Install) -> None:
    """All files that salt://wireguard includes and imports, and none that would sync modules which are there."""
    states = install.call("state.show_sls", "wireguard")
    assert "wireguard_nothing_to_do" in states
    assert "wireguard_modules" not in states
