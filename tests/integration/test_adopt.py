"""A network made by hand becomes ours: looked at, proposed, taken over with a real master, and given back."""

import itertools
import json

import pytest

import life
import steps

pytestmark = pytest.mark.slow

NODES = ["node1", "node2", "node3"]
# Names of the underlay's addresses, see lab/README.md.
ENDPOINT = {f"node{number}": f"10.66.0.{10 + number}:51820" for number in range(1, 4)}
CONFIG = "/etc/wireguard/wg0.conf"
PHONE = "bKEaZsQvEI1sLm2s/MXW+j8D3hP9W+BHV4BoGGUt53k="
HOOK = "PostUp = touch /run/hooked"


def sh(fleet, node, command, **options):
    return fleet.must("exec", node, "sh", "-c", command, **options)


def wg(fleet, node, *words, text=None):
    return fleet.must("exec", node, "wg", *words, input=text).strip()


@pytest.fixture(scope="module")
def fleet(lab):
    """Three minions with a mesh by wg-quick, a preshared key for each pair and a phone, all unknown to the master."""
    lab.up(3, mesh=steps.mesh(["somebody"]), trigger="none")
    private = {node: wg(lab, node, "genkey") for node in NODES}
    lab.own_keys = {node: wg(lab, node, "pubkey", text=private[node] + "\n") for node in NODES}
    shared = {pair: wg(lab, "node1", "genpsk") for pair in itertools.combinations(NODES, 2)}
    lab.texts = {}
    for number, node in enumerate(NODES, 1):
        lines = ["[Interface]", f"PrivateKey = {private[node]}", f"Address = 10.99.0.{number}/24", "ListenPort = 51820"]
        lines += [HOOK] if node == "node1" else []
        for other in NODES:
            if other != node:
                lines += ["", "[Peer]", f"PublicKey = {lab.own_keys[other]}", f"Endpoint = {ENDPOINT[other]}"]
                lines += [f"PresharedKey = {shared[min(node, other), max(node, other)]}"]
                lines += [f"AllowedIPs = 10.99.0.{NODES.index(other) + 1}/32"]
        if node == "node1":
            lines += ["", "# alice's phone", "[Peer]", f"PublicKey = {PHONE}", "AllowedIPs = 10.99.0.77/32"]
        lab.texts[node] = "\n".join(lines) + "\n"
        sh(lab, node, f"umask 077; cat > {CONFIG}", input=lab.texts[node])
        sh(lab, node, "wg-quick up wg0 2>&1")
    lab.secrets = {*private.values(), *shared.values()}
    for number in (2, 3):
        sh(lab, "node1", f"ping -c 1 -W 10 10.99.0.{number}")
    return lab


@pytest.fixture(scope="module")
def looked(fleet):
    """What the look says, and writes."""
    path = fleet.mesh_file.with_name("proposed.yml")
    code, answer = life.ask(fleet, "adopt", f"write={path}")
    assert code == 0, answer
    return answer, path.read_text()


def test_the_look_shows_the_network_and_no_secret(fleet, looked):
    answer, _ = looked
    assert [(row["node"], row["public_key"], row["peers"]) for row in answer["nodes"]] == [
        ("node1", fleet.own_keys["node1"], 3),
        ("node2", fleet.own_keys["node2"], 2),
        ("node3", fleet.own_keys["node3"], 2),
    ]
    assert answer["nodes"][0]["hooks"] == ["PostUp: touch"]
    assert [(row["peer"], row["public_key"]) for row in answer["peers"]] == [("alice's phone", PHONE)]
    assert not [secret for secret in fleet.secrets if secret in json.dumps(answer)]


def test_the_proposal_says_it_all(looked):
    answer, text = looked
    assert (answer["changes"], answer["contradictions"], answer["left_out"]) == ([], [], [])
    assert "node2: {addresses: [10.99.0.2], endpoint: 10.66.0.12" in text


def test_until_it_is_taken_over_an_apply_changes_nothing_and_names_the_way(fleet, looked):
    steps.edit_mesh(fleet, looked[1])
    done = fleet.salt("node2", "wireguard.sync")
    assert (done.returncode, "`salt-run wireguard.adopt` on the master" in done.stdout) == (1, True)
    assert sh(fleet, "node2", f"cat {CONFIG}; ls /etc/wireguard") == fleet.texts["node2"] + "wg0.conf\n"


def dump(fleet, node):
    """Public key -> preshared key, endpoint, AllowedIPs, of each peer; and the interface's own line."""
    own, *peers = wg(fleet, node, "show", "wg0", "dump").splitlines()
    return own, {line.split("\t")[0]: line.split("\t")[1:4] for line in peers}


def test_one_node_and_then_all_are_taken_over_as_they_are(fleet):
    before = {node: dump(fleet, node) for node in NODES}
    for target, count in (("node2", 1), ("node*", 3)):
        code, answer = life.ask(fleet, "adopt", f"take={target}")
        assert (code, answer["failed"]) == (0, []), answer
        assert answer["answer"] == f"{count} of {count} nodes are taken over"
        assert {node: dump(fleet, node) for node in NODES} == before
    assert f"# Kept\n{HOOK}\n" in sh(fleet, "node1", f"cat {CONFIG}")
    assert fleet.salt_run("wireguard.plan").returncode == 0
    code, answer = life.ask(fleet, "wait", "timeout=60")
    assert (code, answer["missing"]) == (0, [])
    assert life.ask(fleet, "reconcile", "everybody=True")[0] == 0
    assert {node: dump(fleet, node) for node in NODES} == before


def test_it_is_given_back_and_taken_again(fleet):
    assert fleet.salt("node3", "wireguard.unadopt", "wg0").returncode == 0
    assert sh(fleet, "node3", f"cat {CONFIG}") == fleet.texts["node3"]
    assert life.ask(fleet, "adopt", "take=node3")[0] == 0
    assert "adopted-" in sh(fleet, "node3", "ls /etc/wireguard")


def test_all_leave_and_their_tunnels_go_on(fleet):
    before = {node: dump(fleet, node) for node in NODES}
    assert fleet.salt("*", "wireguard.leave").returncode == 0
    assert {node: dump(fleet, node) for node in NODES} == before
    sh(fleet, "node2", "wg-quick down wg0 2>&1 && wg-quick up wg0 2>&1 && ping -c 1 -W 10 10.99.0.3")
    assert "was not written by these modules" in fleet.salt("node2", "wireguard.sync").stdout
