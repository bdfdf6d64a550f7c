"""The examples for a master's configuration: who may run what on the master itself, and what runs by the clock."""

import pytest

import steps

NODES = ["node1", "node2"]
EXAMPLES = steps.HERE.parents[1] / "examples/master.d"
# Somebody with another user id, who may read the Python of the tests as well, wherever that is.
AS_NOBODY = [
    *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
    *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),
]


@pytest.fixture(scope="module")
def fleet(lab):
    """Two minions without engine or reactor; `nobody` is alice, and minutes are seconds."""
    lab.up(len(NODES), mesh=steps.mesh(NODES), trigger="none")
    schedule = (EXAMPLES / "wireguard-schedule.conf").read_text()
    assert schedule.count("minutes: 1") == 2
    master_d = lab.dir / "hosts/master/etc/salt/master.d"
    (master_d / "schedule.conf").write_text(
        schedule.replace("minutes: 15", "seconds: 2").replace("minutes: 10", "seconds: 2")
    )
    users = (EXAMPLES / "wireguard-local-users.conf").read_text()
    (master_d / "local-users.conf").write_text(users.replace("alice:", "nobody:"))
    lab.off("master")
    lab.on("master")
    lab.recorder = steps.Recorder(lab)
    return lab


def test_by_the_clock_alone_newcomers_get_in_and_an_edit_reaches_all(fleet):
    steps.wait_until("both are in", lambda: steps.in_sync(fleet, *NODES), 120)
    steps.edit_mesh(fleet, steps.mesh(NODES, mtu=1330))
    steps.wait_until("both have the edit", lambda: all(mtu(fleet, node) == "1330" for node in NODES), 60)


def mtu(fleet, node):
    return fleet.must("exec", node, "cat", "/sys/class/net/wg0/mtu").strip()


def test_keys_rotate_by_the_clock(fleet):
    before = steps.public_key(fleet, "node1")
    steps.edit_mesh(fleet, steps.mesh(NODES, rotate_every="1h"))
    steps.age_keys(fleet)
    steps.wait_until("the key is another one", lambda: steps.public_key(fleet, "node1") != before, 60)


@pytest.fixture
def ask(fleet):
    """Run `salt` as somebody else; gives what it says. The client may read what Salt says that it must."""
    folder = fleet.dir / "hosts/master/var/cache/salt/master"
    for path in (fleet.dir / "hosts/master/etc/salt", folder, *folder.parents):
        if path.is_relative_to(fleet.dir):
            path.chmod(path.stat().st_mode | 0o055)
    for path in (fleet.dir / "hosts/master/etc/salt").rglob("mas*"):
        path.chmod(path.stat().st_mode | (0o055 if path.is_dir() else 0o044))
    home = fleet.dir / "home"
    home.mkdir()
    home.chmod(0o777)

    def run(function):
        command = ["salt", "--timeout=1", f"--log-file={home}/log", "node1", f"wireguard.{function}"]
        done = fleet.exec("master", "env", f"HOME={home}", *AS_NOBODY, *command)
        return done.stdout + done.stderr

    return run


def test_a_person_without_root_may_look_and_change_nothing(fleet, ask):
    assert "Authorization error occurred" not in ask("show")
    for function in ("sync", "showing", "remove", "clean"):
        assert "Authorization error occurred" in ask(function)
    jobs = [data for tag, data in fleet.recorder.all() if tag.startswith("salt/job/") and tag.endswith("/new")]
    by_nobody = [job["fun"] for job in jobs if job["user"] == "nobody"]
    assert [function for function in by_nobody if function != "saltutil.find_job"] == ["wireguard.show"]
