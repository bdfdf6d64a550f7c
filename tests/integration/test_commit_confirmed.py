"""
A minion whose only way to its master is the mesh, and a mesh file that cuts it off: it is back by itself.

node3 reaches the master through node1, by a port forwarding on its mesh address. Its firewall lets no Salt out, and of
WireGuard only the port that it has.
"""

import shutil

import pytest

import life
import steps

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("nft") is None, reason="needs nft"),
]

NODES = ["node1", "node2", "node3"]
PORT = 51820
FORWARDING = """
echo 1 > /proc/sys/net/ipv4/ip_forward
nft -f - <<END
table ip gateway {
    chain to_master { type nat hook prerouting priority -100; iifname wg0 tcp dport 4505-4506 dnat to 10.66.0.1; }
    chain back { type nat hook postrouting priority 100; oifname eth0 masquerade; }
}
END
"""
FIREWALL = f"""
nft -f - <<END
table inet firewall {{
    chain out {{
        type filter hook output priority 0;
        oifname eth0 tcp dport 4505-4506 drop
        oifname eth0 udp sport != {PORT} drop
    }}
    chain in {{ type filter hook input priority 0; iifname eth0 udp dport != {PORT} drop; }}
}}
END
"""
KILL_MINION = """
for process in /proc/[0-9]*; do
    if tr '\\0' ' ' < "$process/cmdline" 2>/dev/null | grep -q "bin/salt-minio[n]"; then kill -9 "${process#/proc/}"; fi
done
"""


def mesh(**settings_of_node3):
    return steps.mesh({"node1": {}, "node2": {}, "node3": settings_of_node3})


@pytest.fixture(scope="module")
def fleet(lab):
    """node3 was booted with its tunnel, and hears of the master through it alone."""
    lab.up(len(NODES), mesh=mesh(), trigger="engine")
    lab.recorder = steps.Recorder(lab)
    steps.build(lab, len(NODES))
    lab.must("exec", "node1", "sh", "-c", FORWARDING)
    lab.gateway = steps.nodes(lab)["node1"]["addresses"][0]
    lab.off("node3")
    config = lab.dir / "hosts/node3/etc/salt/minion"
    config.write_text(config.read_text().replace('"10.66.0.1"', f'"{lab.gateway}"'))
    lab.on("node3", boot=True)
    lab.must("exec", "node3", "sh", "-c", FIREWALL)
    answers(lab)
    steps.wait_until("every node in sync", lambda: steps.in_sync(lab, *NODES), life.UNTOLD_SECONDS)
    return lab


def answers(fleet, seconds=60):
    steps.wait_until("node3 answers", lambda: "True" in fleet.salt("node3", "test.ping", "--timeout=3").stdout, seconds)


def port(fleet):
    return int(fleet.must("exec", "node3", "wg", "show", "wg0", "listen-port"))


def await_port(fleet, wanted, seconds=60):
    steps.wait_until(f"the port {wanted}", lambda: port(fleet) == wanted, seconds)


def rollbacks(fleet):
    entries = life.ask(fleet, "history", "node3", "limit=500")[1]["history"]
    return [entry["why"] for entry in entries if entry["what"] == "rolled_back"]


def test_a_mesh_file_that_cuts_the_node_off_is_taken_back_and_the_operator_sees_why(fleet):
    before = steps.wireguard_files(fleet, "node3")
    with steps.other_mesh(fleet, mesh(port=51999)):
        await_port(fleet, 51999)
        await_port(fleet, PORT)
        answers(fleet)
        assert steps.wireguard_files(fleet, "node3") == before
        why = f"the Salt master ({fleet.gateway}, port 4506) can no longer be reached"
        steps.wait_until("the report", lambda: why in (steps.nodes(fleet)["node3"]["why"] or ""), 30)
        assert steps.nodes(fleet)["node3"]["why"].startswith("rolled back: ")
        code, said = steps.reconcile(fleet)
        assert code == 1
        assert why in said["failed"]["node3"]
        assert "not be tried again before" in said["failed"]["node3"]
        assert port(fleet) == PORT
        assert why in rollbacks(fleet)[-1]
        told = lambda: fleet.recorder.events("wireguard/backbone/node/rolled_back")  # noqa: E731
        steps.wait_until("the event", lambda: [event for event in told() if event["node"] == "node3"], 20)
    steps.wait_until("every node in sync", lambda: steps.in_sync(fleet, *NODES), life.UNTOLD_SECONDS)
    assert fleet.ping()


def test_the_watchdog_takes_it_back_when_the_minion_was_killed_meanwhile(fleet):
    before = len(rollbacks(fleet))
    with steps.other_mesh(fleet, mesh(port=52000)):
        await_port(fleet, 52000)
        fleet.must("exec", "node3", "sh", "-c", KILL_MINION)
    assert port(fleet) == 52000
    await_port(fleet, PORT)
    answers(fleet)
    steps.wait_until("every node in sync", lambda: steps.in_sync(fleet, *NODES), life.UNTOLD_SECONDS)
    assert "the process that applied it died" in rollbacks(fleet)[before]
    assert fleet.ping()
