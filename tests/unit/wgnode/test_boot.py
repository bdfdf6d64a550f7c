"""
One manager in the place of another; and OpenRC, played by a directory of init scripts, one of runlevels, and an
`rc-update` that links one to the other.
"""

import os

import pytest
from wgmesh.errors import NodeError
from wgmesh.view import View
from wgnode import boot

RC_UPDATE = """#!/bin/sh
echo "$@" >>{root}/calls
verb=$1 service=$2
shift 2
for runlevel; do
    case $verb in
        add) [ -e {root}/init.d/$service ] && ln -s /etc/init.d/$service {root}/runlevels/$runlevel/ ;;
        delete) rm {root}/runlevels/$runlevel/$service ;;
    esac || exit 1
done
"""


SETUP = boot.Setup(View("wg0", ()), "/etc/wireguard/wg0.key", {})


class Machine:
    def __init__(self, root):
        self.init_dir = root / "init.d"
        self.runlevels = root / "runlevels"
        self.calls_file = root / "calls"
        for directory in (self.init_dir, self.runlevels / "boot", self.runlevels / "default", root / "bin"):
            directory.mkdir(parents=True)
        self.script = self.init_dir / "wg-quick"
        self.script.touch()
        self.rc_update = root / "bin" / "rc-update"
        self.rc_update.write_text(RC_UPDATE.format(root=root))
        self.rc_update.chmod(0o755)

    def calls(self):
        return self.calls_file.read_text().splitlines() if self.calls_file.exists() else []


@pytest.fixture
def machine(tmp_path, monkeypatch):
    made = Machine(tmp_path)
    monkeypatch.setattr(boot, "INIT_DIR", str(made.init_dir))
    monkeypatch.setattr(boot, "RUNLEVEL_DIR", str(made.runlevels))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return made


def test_an_interface_is_enabled_by_a_link_to_the_init_script_and_a_runlevel(machine):
    manager = boot.OpenRC()
    assert not manager.is_enabled("wg0")
    manager.enable(SETUP)
    assert manager.is_enabled("wg0")
    assert os.readlink(machine.init_dir / "wg-quick.wg0") == "wg-quick"
    assert machine.calls() == ["add wg-quick.wg0 default"]


def test_one_interface_says_nothing_about_another(machine):
    boot.OpenRC().enable(SETUP)
    assert not boot.OpenRC().is_enabled("wg")
    assert not boot.OpenRC().is_enabled("wg*")


def test_an_interface_that_an_administrator_enabled_in_another_runlevel_is_enabled(machine):
    (machine.init_dir / "wg-quick.wg0").symlink_to("wg-quick")
    (machine.runlevels / "boot" / "wg-quick.wg0").symlink_to("/etc/init.d/wg-quick.wg0")
    assert boot.OpenRC().is_enabled("wg0")


def test_a_disabled_interface_leaves_nothing_behind(machine):
    manager = boot.OpenRC()
    manager.enable(SETUP)
    (machine.runlevels / "boot" / "wg-quick.wg0").symlink_to("/etc/init.d/wg-quick.wg0")
    manager.disable("wg0")
    assert machine.calls()[1:] == ["delete wg-quick.wg0 boot default"]
    assert os.listdir(machine.init_dir) == ["wg-quick"]
    assert not manager.is_enabled("wg0")


def test_an_interface_that_is_not_enabled_is_disabled_without_a_command(machine):
    boot.OpenRC().disable("wg0")
    assert machine.calls() == []


def test_without_its_init_script_an_enabled_interface_does_not_count_as_enabled(machine):
    manager = boot.OpenRC()
    manager.enable(SETUP)
    machine.script.unlink()
    assert not manager.is_enabled("wg0")


def test_a_missing_init_script_is_an_error_that_names_its_package(machine):
    machine.script.unlink()
    with pytest.raises(NodeError, match=r"wg0 works, but is not there after a boot \(.*wireguard-tools-openrc\)"):
        boot.OpenRC().enable(SETUP)
    assert machine.calls() == []


def test_a_failure_of_rc_update_is_an_error_with_its_words(machine):
    machine.rc_update.write_text("#!/bin/sh\necho read-only >&2\nexit 1\n")
    with pytest.raises(NodeError, match=r"wg-quick\.wg0 could not be enabled: .*read-only"):
        boot.OpenRC().enable(SETUP)


class Recorded:
    """A manager that has to do what is in ``changes``, and writes down what it is asked to do."""

    def __init__(self, name, calls, changes):
        self._name, self._calls, self._changes = name, calls, changes

    def missing(self, setup):
        return self._changes

    def left(self, interface):
        return self._changes

    def enable(self, setup):
        self._calls.append(f"enable {self._name}")

    def disable(self, interface):
        self._calls.append(f"disable {self._name}")


CHANGES = {"service": {"old": "disabled", "new": "enabled"}}


@pytest.mark.parametrize(
    ("missing", "left", "calls"),
    [
        (CHANGES, CHANGES, ["enable new", "disable old"]),
        (CHANGES, {}, ["enable new"]),
        ({}, CHANGES, ["disable old"]),
        ({}, {}, []),
    ],
)
def test_one_manager_has_the_interface_before_another_lets_it_go(missing, left, calls):
    seen = []
    boot.InPlaceOf(Recorded("new", seen, missing), Recorded("old", seen, left)).enable(SETUP)
    assert seen == calls


def test_a_removed_interface_comes_up_by_neither_manager():
    seen = []
    boot.InPlaceOf(Recorded("new", seen, {}), Recorded("old", seen, {})).disable("wg0")
    assert seen == ["disable new", "disable old"]
