"""The machine itself: its programs and network devices."""

import os
import subprocess
import sys

import pytest

from saltext.wireguard.system import machine

HERE = machine.ThisMachine()


def test_a_program_runs_to_its_end_with_its_input_and_in_english(monkeypatch):
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    done = HERE.execute(["sh", "-c", 'cat; echo "$LC_ALL"; echo oops >&2; exit 3'], "hello\n", [])
    assert (done.stdout, done.stderr, done.returncode) == ("hello\nC\n", "oops\n", 3)


def test_a_program_without_input_reads_nothing_of_ours():
    assert HERE.execute(["cat"], None, []).stdout == ""


def test_output_that_is_not_utf8_is_no_error():
    assert HERE.execute(["printf", r"\377"], None, []).stdout == "\ufffd"


def test_descriptors_are_passed_on():
    reading, writing = os.pipe()
    with os.fdopen(reading) as end, os.fdopen(writing, "w") as pipe:
        pipe.write("secret")
        pipe.close()
        assert HERE.execute(["cat", f"/dev/fd/{end.fileno()}"], None, [end.fileno()]).stdout == "secret"


@pytest.mark.parametrize("name", ["LOG_LEVEL", "WG_PROCESS_FOREGROUND", "WG_TUN_FD", "WG_UAPI_FD"])
def test_what_keeps_wireguard_go_in_the_foreground_is_not_passed_on(monkeypatch, name):
    monkeypatch.setenv(name, "1")
    assert f"{name}=1" not in HERE.execute(["env"], None, []).stdout.splitlines()


def test_a_program_that_is_not_there_or_does_not_end_is_an_error(monkeypatch):
    with pytest.raises(FileNotFoundError):
        HERE.execute(["there-is-no-such-program"], None, [])
    monkeypatch.setattr(machine, "COMMAND_SECONDS", 0.1)
    with pytest.raises(subprocess.TimeoutExpired):
        HERE.execute(["sleep", "60"], None, [])


def test_programs_are_found_by_path():
    assert str(HERE.program("sh")).endswith("/sh")
    assert HERE.program("there-is-no-such-program") is None


def test_devices_are_those_of_sysfs():
    assert HERE.has_device("lo")
    assert not HERE.has_device("there-is-none")
    assert HERE.mtu("lo") == 65536
    assert HERE.mtu("there-is-none") is None


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """The folder with the lists of the running kernel's modules."""
    monkeypatch.setattr(machine, "_MODULES", str(tmp_path))
    folder = tmp_path / os.uname().release
    folder.mkdir()
    return folder


@pytest.mark.parametrize("listed", ["modules.dep", "modules.builtin"])
def test_a_module_is_known_from_the_kernels_lists(modules, listed):
    assert HERE.has_module("no_such_module") is None
    (modules / listed).write_text("kernel/drivers/net/veth.ko:\n")
    assert HERE.has_module("no_such_module") is False
    (modules / listed).write_text("kernel/drivers/net/no_such_module.ko.xz: kernel/lib/a.ko\n")
    assert HERE.has_module("no_such_module") is True


def test_a_process_knows_whether_it_may_make_devices():
    script = "from saltext.wireguard.system.machine import ThisMachine as M; print(M().may_make_devices())"
    told = {}
    for name, drop in (("root", []), ("without", ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"])):
        command = [*drop, sys.executable, "-c", script]
        path = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=path)
        told[name] = done.stdout.strip()
    assert told["without"] == "False"
    assert told["root"] == str(HERE.may_make_devices())
