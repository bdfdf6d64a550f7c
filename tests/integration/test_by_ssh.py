"""A host that the master reaches by ssh alone joins the mesh; later its minion takes over."""

import contextlib
import json
import shutil
import subprocess

import pytest

import steps

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/bin:/sbin")
PORT = 2222
NODES = ["node1", "node2"]
HOST = "node3"

# salt-ssh brings its own Salt to the host first
pytestmark = [pytest.mark.slow, pytest.mark.skipif(SSHD is None, reason="needs sshd, which .ci/sshd installs")]


@pytest.fixture(scope="module")
def fleet(lab):
    """Two nodes in a mesh, and a host without a minion, whose Salt key nobody has accepted."""
    lab.up(3, mesh=steps.mesh([*NODES, HOST]), trigger="engine", synced=False)
    lab.off(HOST)
    assert lab.salt_key("-y", "-d", HOST).returncode == 0
    lab.on(HOST, salt=False)
    applied = steps.state_apply(lab)
    assert steps.failures(applied) == []
    assert sorted(applied) == NODES
    with sshd(lab):
        yield lab


@contextlib.contextmanager
def sshd(lab):
    """An ssh server on the host, with keys of its own, and a roster on the master that leads to it."""
    home = lab.dir / "hosts" / HOST / "ssh"
    home.mkdir(mode=0o700)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / name)], check=True)
    (home / "config").write_text(
        f"Port {PORT}\nHostKey {home}/host\nAuthorizedKeysFile {home}/user.pub\nPidFile {home}/pid\n"
        "StrictModes no\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\nSubsystem sftp internal-sftp\n"
    )
    address = lab.status()[HOST]["address"]
    (home / "known_hosts").write_text(f"[{address}]:{PORT} {(home / 'host.pub').read_text()}")
    # salt-ssh fails where the shell of this machine's root has another Python first, which is a shell script
    login = {
        "host": address,
        "port": PORT,
        "user": "root",
        "priv": str(home / "user"),
        "set_path": "/usr/sbin:/usr/bin",
    }
    etc = lab.dir / "hosts/master/etc/salt"
    (etc / "roster").write_text(json.dumps({HOST: {**login, "thin_dir": str(home / "thin")}}))
    (etc / "master.d/ssh.conf").write_text(f"known_hosts_file: {home}/known_hosts\n")
    lab.must("exec", HOST, "mkdir", "-p", "/run/sshd")
    lab.must("exec", HOST, SSHD, "-f", str(home / "config"))
    try:
        yield
    finally:
        if (home / "pid").exists():
            lab.exec(HOST, "kill", (home / "pid").read_text().strip())


def salt_ssh(lab, *args):
    done = lab.run("exec", "master", "salt-ssh", "--out=json", HOST, *args)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)[HOST]


def changes(states):
    return {name.split("_|-")[1]: state["changes"] for name, state in states.items() if state["changes"]}


def why(lab):
    return steps.nodes(lab)[HOST]["why"]


def test_before_it_is_enrolled_it_is_told_nothing(fleet):
    assert HOST not in steps.nodes(fleet)
    assert list(changes(salt_ssh(fleet, "state.apply", "wireguard"))) == []
    assert not steps.has_device(fleet, HOST)


def test_it_is_enrolled_by_one_command_and_the_others_learn_of_it(fleet):
    done = fleet.salt_run("wireguard.enroll", HOST)
    assert done.returncode == 0, done.stdout + done.stderr
    key = salt_ssh(fleet, "wireguard.public_key", "wg0")
    assert key in done.stdout
    assert why(fleet) == "by ssh"
    steps.wait_until("a peer of all", lambda: all(key in steps.peers(fleet, node) for node in NODES))


def test_a_second_command_brings_its_tunnels_up(fleet):
    assert "wireguard_network_backbone" in changes(salt_ssh(fleet, "state.apply", "wireguard"))
    assert fleet.ping(wait=60)
    assert changes(salt_ssh(fleet, "state.apply", "wireguard")) == {}


def test_a_revoked_host_takes_its_interface_down_and_comes_back_when_it_is_enrolled_again(fleet):
    assert f"not confirmed: {HOST}" not in fleet.salt_run("wireguard.revoke", HOST).stdout
    assert "wireguard_gone" in changes(salt_ssh(fleet, "state.apply", "wireguard"))
    assert not steps.has_device(fleet, HOST)
    for command in ("wireguard.readmit", "wireguard.enroll"):
        done = fleet.salt_run(command, HOST)
        assert done.returncode == 0, done.stdout + done.stderr
    salt_ssh(fleet, "state.apply", "wireguard")
    assert fleet.ping(wait=60)


def test_a_reconcile_does_not_wait_for_it(fleet):
    code, result = steps.reconcile(fleet)
    assert (code, result["silent"], result["unregistered"]) == (0, [], [])


def test_its_minion_gains_nothing_before_its_salt_key_is_accepted(fleet):
    fleet.off(HOST)
    fleet.on(HOST, boot=True)
    steps.wait_until("its key is pending", lambda: fleet.status()[HOST]["key"] == "pending")
    assert why(fleet) == "by ssh"
    assert "accept its Salt key only if" in fleet.salt_run("wireguard.nodes").stdout
    assert fleet.ping(wait=60)


def test_its_minion_takes_over_without_a_lost_tunnel(fleet):
    before = {node: steps.peers(fleet, node)[steps.public_key(fleet, HOST)] for node in NODES}
    with steps.stream(fleet, "node1", HOST) as told:
        assert fleet.salt_key("-y", "-a", HOST).returncode == 0
        steps.wait_until("in sync by itself", lambda: steps.in_sync(fleet, *NODES, HOST), 90)
    assert told["lost"] == []
    for node, peer in before.items():
        after = steps.peers(fleet, node)[steps.public_key(fleet, HOST)]
        assert (after["endpoint"], after["allowed_ips"]) == (peer["endpoint"], peer["allowed_ips"])
