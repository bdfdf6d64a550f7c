"""A node behind NAT whose default route is led through an exit node, and back again, by edits of the mesh file."""

import re

import pytest

import steps

pytestmark = pytest.mark.slow

PLAIN = steps.mesh({"node1": {}, "pc": {"endpoint": False}}, subnets=["10.42.0.0/16"])
THROUGH = steps.mesh({"node1": {"exit": True}, "pc": {"endpoint": False, "via": "node1"}}, subnets=["10.42.0.0/16"])

SERVE = """
import socketserver
class Tell(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(self.client_address[0].encode())
socketserver.ThreadingTCPServer(("", 8080), Tell).serve_forever()
"""
ASK = "import socket, sys; print(socket.create_connection((sys.argv[1], 8080), timeout=3).recv(99).decode())"
MASQUERADE = "table ip nat { chain mesh { type nat hook postrouting priority srcnat; oifname != wg0 masquerade; }; }"


@pytest.fixture(scope="module")
def fleet(lab):
    """pc at a site, node1 as its exit outside, and www on the Internet; the master is there as well."""
    lab.up(1, mesh=PLAIN, trigger="engine")
    lab.must("site", "ams")
    lab.add("pc@ams")
    lab.must("add", "--plain", "www")
    steps.build(lab, 2)
    lab.must("exec", "node1", "nft", MASQUERADE)
    lab.must("exec", "www", "sh", "-c", f"python3 -c '{SERVE}' > /dev/null 2>&1 &")
    steps.wait_until("www answers", lambda: seen(lab) is not None)
    return lab


def underlay(fleet, name):
    return fleet.status()[name]["address"]


def seen(fleet):
    """The address under which www sees pc; None where it does not answer."""
    done = fleet.exec("pc", "python3", "-c", ASK, underlay(fleet, "www"))
    return done.stdout.strip() or None


def connections(fleet):
    """Local ends of pc's connections to the master, which the minion keeps."""
    return set(re.findall(r"(\S+) +\S+:450[56]\b", fleet.exec("pc", "ss", "-Htn", "state", "established").stdout))


def go(fleet, text):
    steps.edit_mesh(fleet, text)
    code, said = steps.reconcile(fleet)
    assert (code, said["failed"], said["silent"]) == (0, {}, [])


def test_without_an_exit_the_router_of_its_site_is_seen(fleet):
    assert seen(fleet) == "10.66.0.2"


def test_a_plan_tells_what_an_exit_will_change(fleet):
    (fleet.dir / "other.yml").write_text(THROUGH)
    said = fleet.salt_run("wireguard.plan", f"mesh={fleet.dir / 'other.yml'}").stdout
    assert "IPv4 default route" in said
    assert "via node1" in said


def test_with_an_exit_that_is_seen_and_the_connection_to_the_master_stays(fleet):
    before = connections(fleet)
    (session,) = steps.peers(fleet, "pc").values()
    go(fleet, THROUGH)
    assert seen(fleet) == underlay(fleet, "node1")
    assert before
    assert before <= connections(fleet)
    assert [each["handshake"] for each in steps.peers(fleet, "pc").values()] == [session["handshake"]]
    assert fleet.salt_json("pc", "test.ping") == {"pc": True}


def test_everybody_is_found_to_be_right_then(fleet):
    code, said = steps.reconcile(fleet, "everybody=True")
    assert (code, said["failed"], said["silent"]) == (0, {}, [])
    assert fleet.salt_json("pc", "wireguard.drift")["pc"]["networks"][steps.NETWORK]["changes"] == []


def test_it_boots_with_its_exit_from_its_file_alone(fleet):
    fleet.off("pc")
    fleet.on("pc", boot=True)
    steps.wait_until("pc goes through its exit", lambda: seen(fleet) == underlay(fleet, "node1"))
    steps.wait_until("its minion answers", lambda: fleet.salt_json("pc", "test.ping").get("pc"))
    assert fleet.salt_json("pc", "wireguard.diff")["pc"][steps.NETWORK] == {"commands": [], "changes": {}}


def test_nothing_leaves_while_the_exit_is_off_and_the_minion_answers(fleet):
    fleet.off("node1")
    assert seen(fleet) is None
    assert fleet.salt_json("pc", "test.ping") == {"pc": True}
    fleet.on("node1", boot=True)
    fleet.must("exec", "node1", "nft", MASQUERADE)
    steps.wait_until("pc goes through its exit", lambda: seen(fleet) == underlay(fleet, "node1"))


def test_packets_as_large_as_the_mtu_come_through(fleet):
    said = fleet.salt_json("*", "wireguard.ping")
    found = {node: (each[steps.NETWORK]["silent"], each[steps.NETWORK]["narrow"]) for node, each in said.items()}
    assert found == {"node1": ([], {}), "pc": ([], {})}
    assert said["pc"][steps.NETWORK]["mtu"] == 1420


def test_without_an_exit_again_the_router_is_seen_again(fleet):
    before = connections(fleet)
    go(fleet, PLAIN)
    assert seen(fleet) == "10.66.0.2"
    assert before <= connections(fleet)
    assert "lookup 146" not in fleet.exec("pc", "ip", "rule").stdout
