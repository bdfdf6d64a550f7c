"""
What a minion can do to others with plain Salt calls from its own account: nothing.

The basics (another's name, replays, garbage instead of a statement) are in ``forgery``; here is what goes beyond them.
"""

import base64
import json
import re
import sqlite3
import subprocess
import time
from collections import Counter
from contextlib import closing

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

import steps
from saltext.wireguard.model.statements import REGISTER_TAG, REPORT_TAG, Registration, Report, sign
from saltext.wireguard.registry.registry import Registry

pytestmark = pytest.mark.slow

MEMBERS = ["node1", "node2", "node3"]
LIAR, VICTIM, STRANGER = "node1", "node2", "node4"
LOG_LINE = "refused what came as"
# Made up for this test: nobody has the private key.
KEY = "bKEaZsQvEI1sLm2s/MXW+j8D3hP9W+BHV4BoGGUt53k="
# The second network is the victim's alone; the stranger is an accepted minion that is in none.
MESH = """
networks:
  backbone:
    subnets: [10.42.0.0/16, "fd42:42::/64"]
    nodes: {node1: {}, node2: {}, node3: {}}
  lonely:
    interface: wg1
    port: 51821
    subnets: [10.43.0.0/16]
    nodes: {node2: {}}
"""
# A minion's own channel: what it sends is not even what Salt's event functions would make of it. {"$deep": n} is n
# lists in each other, {"$text": n} n letters, {"$bytes": hex} bytes.
RAW = """
import json, os, sys
import salt.config
from salt.channel.client import ReqChannel

def special(value):
    if "$deep" in value:
        nested = []
        for _ in range(value["$deep"]):
            nested = [nested]
        return nested
    if "$text" in value:
        return "x" * value["$text"]
    return bytes.fromhex(value["$bytes"]) if "$bytes" in value else value

opts = salt.config.minion_config(os.path.join(os.environ["SALT_CONFIG_DIR"], "minion"))
opts.update(master_ip=opts["master"], master_uri="tcp://%s:4506" % opts["master"])
channel = ReqChannel.factory(opts)
for load in json.load(sys.stdin, object_hook=special):
    try:
        channel.send({"id": opts["id"], "cmd": "_minion_event", **load}, tries=1, timeout=30)
    except Exception as exc:
        print(repr(exc)[:200], file=sys.stderr)
"""


@pytest.fixture(scope="module", params=["engine", "reactor"])
def fleet(request, labs):
    """A mesh of three nodes; one more minion that is in no network."""
    lab = labs()
    try:
        lab.up(4, mesh=MESH, trigger=request.param)
        lab.trigger = request.param
        applied = steps.state_apply(lab)
        assert steps.failures(applied) == []
        wait_in_sync(lab)
        yield lab
    finally:
        lab.down()


# -- what is looked at


def wait_in_sync(lab):
    def check():
        rows = lab.salt_run_json("wireguard.nodes")["nodes"]
        return len(rows) >= len(MEMBERS) + 1 and all(row["in_sync"] for row in rows)

    steps.wait_until("everybody in sync", check)


def registry(lab):
    return Registry(str(lab.dir / "hosts/master/var/cache/salt/master/wireguard/registry.db"))


def state(lab):
    """All that must not change: what the registry believes, and what devices have."""
    snapshot = registry(lab).snapshot()
    applied = {who: (each.digest, each.salt_key) for who, each in registry(lab).applied().items()}
    devices = {node: steps.configured(lab, node) for node in MEMBERS}
    devices["wg1"] = steps.configured(lab, VICTIM, "wg1")
    return snapshot.rows, snapshot.standings, snapshot.waiting, applied, devices


def refusals(lab):
    found = Counter()
    for each in registry(lab).audit.refusals():
        found[each.node, each.reason] += each.count
    return found


def refused_lines(lab):
    return [line for line in lab.log("master").splitlines() if LOG_LINE in line]


def assert_sane(lab):
    with closing(sqlite3.connect(registry(lab).place)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    told = [lab.salt_run(f"wireguard.{what}", *words) for what, *words in (("nodes",), ("history", "limit=1000"))]
    for done in told:
        assert done.returncode == 0, done.stderr
        assert all(line.isprintable() for line in done.stdout.split("\n")), done.stdout
    shown = [lab.salt_run(f"wireguard.{what}", "--out=json").stdout for what in ("nodes", "history")]
    assert not [text for text in shown if re.search(r"[^\n\x20-\x7e]", text)]
    assert lab.salt_json("*", "test.ping") == dict.fromkeys(lab.status().keys() - {"master"}, True)


# -- what is sent


def private_pem(lab, node):
    return (lab.dir / "hosts" / node / "etc/salt/pki/minion/minion.pem").read_bytes()


def sign_anything(pem, statement):
    """A signature that is right, whatever the statement says."""
    text = statement if isinstance(statement, str) else json.dumps(statement)
    key = serialization.load_pem_private_key(pem, None)
    signature = key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    return {"statement": text, "signature": base64.b64encode(signature).decode()}


def event(tag, data):
    return {"tag": tag, "data": data}


def bare(tag, data):
    """An event whose data is all that the receiver sees: Salt adds nothing to it, not even who sent it."""
    return {"events": [{"tag": tag, "data": data}]}


def send(lab, node, loads):
    done = lab.exec(node, "python3", "-c", RAW, input=json.dumps(loads))
    assert done.returncode == 0, done.stderr
    return done.stderr


def assert_refused_and_nothing_else(lab, sender, attempts):
    """``attempts``: (load, reason). Each is one line in the log and counts once; nobody's anything changes."""
    wait_in_sync(lab)
    before, counted, lines = state(lab), refusals(lab), len(refused_lines(lab))
    send(lab, sender, [load for load, _ in attempts])
    steps.wait_until("all refused", lambda: len(refused_lines(lab)) >= lines + len(attempts))
    time.sleep(1)
    new = refusals(lab) - counted
    for load, reason in attempts:
        assert [each for each in new if re.search(reason, each[1])], (
            f"not refused with {reason!r}: {str(load)[:500]}\n{new}"
        )
    assert new.total() == len(attempts)
    logged = refused_lines(lab)[lines:]
    assert len(logged) == len(attempts)
    assert all(line.isprintable() and len(line) < 1500 for line in logged)
    assert state(lab) == before
    assert_sane(lab)


SHELL = "$(touch /tmp/pwned); `reboot` && x | y > z"
SQL = "x'); DROP TABLE node; --"
PATH = "../../../../etc/salt/pki/master/minions/node2"
ESCAPES = "\x1b[2J\x1b]0;owned\x07\r\n\x00\u202e\x9b31m"
HOSTILE = [SHELL, SQL, PATH, ESCAPES]
NO_TEXT = "must be a short printable text|is missing|its public_key: "
OTHER_TYPES = [None, True, 5, 1.5, [], {}, ["a"], {"a": "b"}]


def hostile_statements(lab):
    """(field, value, reason): one field of the liar's own good record replaced."""
    cases = [("node", text, r"is not an accepted minion|" + NO_TEXT) for text in HOSTILE]
    cases += [("network", text, r"the mesh file has no |" + NO_TEXT) for text in HOSTILE]
    cases += [("endpoints", [text], "its endpoints: ") for text in HOSTILE]
    cases += [("endpoints", [f"10.66.0.{last}" for last in range(17)], "its endpoints: must be a list of at most 16")]
    cases += [("public_key", text, "its .?public_key") for text in HOSTILE]
    cases += [("boot", text, "its boot") for text in [ESCAPES, "x" * 300, 5, ["a"]]]
    cases += [
        ("kind", text, "it is not a statement of the kind") for text in [SQL, "saltext-wireguard/registration/2", 1]
    ]
    cases += [(field, "x" * 300, NO_TEXT) for field in ("node", "network", "public_key")]
    cases += [(field, value, NO_TEXT) for field in ("node", "network", "public_key") for value in OTHER_TYPES]
    cases += [("port", value, "its .?port") for value in [*OTHER_TYPES, "51820", 0, -1, 65536, 10**30] if value != 5]
    cases += [("serial", value, "its .?serial") for value in [*OTHER_TYPES, "9", 0, -1, 2**63] if value != 5]
    cases += [
        ("endpoints", value, "endpoints")
        for value in [*OTHER_TYPES, "10.66.0.1", [["10.66.0.1"]], [167772161]]
        if value != []
    ]
    for address in ("127.0.0.1", "::1", "0.0.0.0", "224.0.0.1", "fe80::1", "255.255.255.255", "::ffff:10.66.0.1"):
        cases.append(("endpoints", [address], "cannot be reached from another machine"))
    return cases


def keys_that_are_none():
    """Texts that stand for no usable Curve25519 key, or are not the one text that stands for it."""
    p = 2**255 - 19
    low_order = [
        0,
        1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
        p - 1,
        p,
        p + 1,
        2**255,  # zero, with the highest bit that receivers ignore
    ]
    usable = int.from_bytes(base64.b64decode(KEY), "little")
    numbers = [*low_order, p + 9, usable + 2**255 if usable < 2**255 else usable - 2**255, 2**256 - 1]
    texts = [base64.b64encode(number.to_bytes(32, "little")).decode() for number in numbers]
    spare_bits = KEY[:-2] + chr(ord(KEY[-2]) + 1) + "="
    return [
        *texts,
        spare_bits,
        KEY[:-1],
        KEY + "=",
        KEY + "\n",
        KEY.replace("+", "-").replace("/", "_"),
        "A" * 44,
        KEY * 2,
    ]


# -- registrations


def test_fields_full_of_shell_sql_paths_escapes_and_wrong_types_are_refused_one_by_one(fleet):
    pem = private_pem(fleet, LIAR)
    later = time.time_ns() + 10**12
    own = {"node": LIAR, "network": "backbone", "public_key": KEY, "endpoints": [], "port": 51820, "serial": later}
    attempts = []
    for field, value, reason in hostile_statements(fleet):
        signed = sign_anything(pem, {"kind": Registration.KIND, **own, field: value})
        attempts.append((event(REGISTER_TAG, {"signed": signed}), reason))
    for key in keys_that_are_none():
        signed = sign_anything(pem, {"kind": Registration.KIND, **own, "public_key": key})
        attempts.append((event(REGISTER_TAG, {"signed": signed}), "its public_key: "))
    if fleet.trigger == "reactor":  # each costs a process there, and the check is the same code
        attempts = attempts[::3]
    assert_refused_and_nothing_else(fleet, LIAR, attempts)


def test_records_that_are_true_but_not_for_this_network_or_of_this_node_are_refused(fleet):
    later = time.time_ns() + 10**12

    def registration(node, network, signer):
        return event(
            REGISTER_TAG, {"signed": sign(Registration(node, network, KEY, (), 1, later), private_pem(fleet, signer))}
        )

    def report(node, network, signer):
        return event(REPORT_TAG, {"signed": sign(Report(node, network, "0" * 64, later), private_pem(fleet, signer))})

    not_his = f"its signature was not made with the accepted Salt key of {VICTIM}"
    attempts = [
        (registration(LIAR, "lonely", LIAR), f"{LIAR} is no member of network lonely|no node {LIAR} in"),
        (registration(VICTIM, "lonely", LIAR), not_his),
        (report(VICTIM, "lonely", LIAR), not_his),
        (report(LIAR, "nowhere", LIAR), "the mesh file has no "),
    ]
    assert_refused_and_nothing_else(fleet, LIAR, attempts)


def test_a_minion_that_is_in_no_network_gets_into_none(fleet):
    pem = private_pem(fleet, STRANGER)
    signed = sign(Registration(STRANGER, "backbone", KEY, (), 1, time.time_ns()), pem)
    reason = f"{STRANGER} is no member of network backbone|no node {STRANGER} in"
    assert_refused_and_nothing_else(fleet, STRANGER, [(event(REGISTER_TAG, {"signed": signed}), reason)])


def test_data_of_any_type_depth_and_size_is_refused(fleet):
    big, text = {"$text": 10_000_000}, {"$text": 900_000}
    loads = [
        event(REGISTER_TAG, {"signed": {"statement": big, "signature": "eA=="}}),
        event(REGISTER_TAG, {"signed": {"statement": text, "signature": "eA=="}}),
        event(REGISTER_TAG, {"signed": {"statement": "{}", "signature": text}}),
        event(REGISTER_TAG, text),
        event(REGISTER_TAG, [1, 2]),
        event(REGISTER_TAG, None),
        event(REGISTER_TAG, {"signed": {"$deep": 900}}),
        event(REGISTER_TAG, {"signed": {"statement": {"$bytes": "ff00"}, "signature": {"$bytes": "ff"}}}),
        event(REPORT_TAG, {"signed": {"statement": "{}\n- evil: '", "signature": ESCAPES}}),
        bare(REGISTER_TAG, {"id": {"$deep": 900}, "data": {"signed": {"$deep": 900}}}),
        bare(REGISTER_TAG, {"id": {"$bytes": "ff"}, "data": {"$bytes": "ff"}}),
        bare(REGISTER_TAG, {"id": ESCAPES, "data": {"signed": None}}),
        bare(REPORT_TAG, {"no": "id"}),
        bare(REPORT_TAG, {"id": text, "data": {"signed": {"statement": "x", "signature": text}}}),
    ]
    assert_refused_and_nothing_else(fleet, LIAR, [(load, "it has no proper |its ") for load in loads])


def test_the_sender_need_not_be_a_program_of_ours(fleet):
    """`salt-call` from a shell is enough to lie, and not enough to be believed."""
    before, lines = state(fleet), len(refused_lines(fleet))
    signed = sign(Registration(VICTIM, "backbone", KEY, (), 1, time.time_ns() + 10**12), private_pem(fleet, LIAR))
    data = json.dumps({"signed": signed})
    fleet.must("exec", LIAR, "salt-call", "event.send", REGISTER_TAG, data)
    fleet.must("exec", LIAR, "salt-call", "event.fire_master", data, REGISTER_TAG)
    steps.wait_until("both refused", lambda: len(refused_lines(fleet)) == lines + 2)
    assert state(fleet) == before


# -- events of Salt's and of ours


def forged_events(lab):
    """Nothing of it is a statement, so nothing of it is refused: at most, the master looks, and finds nothing to do."""
    names = [VICTIM, "ghost", "*", SHELL, ESCAPES, "", {"$deep": 900}, [VICTIM], {"a": 1}, 7, None, {"$bytes": "ff"}]
    loads = [bare(f"salt/minion/{VICTIM}/start", {"id": name, "cmd": "_minion_event"}) for name in names]
    loads += [bare(f"salt/minion/{ESCAPES}/start", {}), event("salt/minion/x/start", {"a": "b"})]
    loads += [
        event("salt/key", {"id": VICTIM, "act": "delete", "result": True}),
        bare("salt/key", {"act": {"$deep": 900}}),
    ]
    for what in ("removed", "revoked", "joined", "rekeyed", "rotated", "nonsense"):
        told = {"id": 1, "time": 1, "network": "backbone", "node": VICTIM, "what": what, "who": "root", "why": ESCAPES}
        loads.append(bare(f"wireguard/backbone/node/{what}", told))
    loads += [bare("wireguard/following", {"id": name}) for name in names]
    loads += [event("wireguard/following", {"id": VICTIM}), event("wireguard/reconcile", {}), event("wireguard", {})]
    return loads


def test_forged_events_of_any_kind_change_nothing(fleet):
    wait_in_sync(fleet)
    before, lines = state(fleet), len(refused_lines(fleet))
    died = deaths(fleet)
    send(fleet, LIAR, forged_events(fleet))
    time.sleep(8)  # the engine's debounce, and the reconcile that follows
    wait_in_sync(fleet)
    assert state(fleet) == before
    assert len(refused_lines(fleet)) == lines
    assert deaths(fleet) == died
    assert_sane(fleet)


def deaths(lab):
    """How many processes of the master Salt had to start again: an exception ends an engine."""
    return lab.log("master").count("died with exit status")


RETURNS = [
    "text",
    " ",
    "",
    None,
    [],
    ["a", {"b": 1}],
    {"$deep": 900},
    {"networks": {"$deep": 900}},
    {"networks": {"wg0": {"result": False, "comment": {"$deep": 900}}}},
    {"networks": {"wg0": {"result": False, "comment": ESCAPES}}},
    {REGISTER_TAG: "text", REPORT_TAG: {"a": 1}},
    {REGISTER_TAG: [None, 1, {"$deep": 900}], REPORT_TAG: [[]]},
    {REGISTER_TAG: [{"statement": "x", "signature": "y"}] * 500},
    {"networks": {"wg0": {"result": True, "comment": "in sync"}}},
]


def test_forged_returns_of_a_reconciles_job_neither_confirm_nor_break_anything(fleet):
    wait_in_sync(fleet)
    pem = private_pem(fleet, LIAR)
    false_report = sign(Report(VICTIM, "backbone", "0" * 64, time.time_ns() + 10**12), pem)
    fleet.off(VICTIM)  # it will be asked, and cannot answer by itself
    try:
        before = registry(fleet).snapshot().rows
        with steps.other_mesh(fleet, MESH.replace("node1: {}", "node1: {port: 51999}")):
            recorder = steps.Recorder(fleet)
            running = subprocess.Popen(
                fleet.argv("salt-run", "wireguard.reconcile", "timeout=25", "--out=json"),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            jid = steps.wait_until("the job that asks the victim", lambda: job_for(recorder, VICTIM))
            answers = [*RETURNS, {REPORT_TAG: [false_report], "networks": {"wg0": {"result": True, "comment": ""}}}]
            loads = [
                bare(
                    f"salt/job/{jid}/ret/{node}",
                    {"id": name, "jid": jid, "fun": "wireguard.sync", "return": answer, **more},
                )
                for answer in answers
                for node, name in ((VICTIM, VICTIM), ("ghost", {"$deep": 900}), (LIAR, [LIAR]))
                for more in ({"success": True, "retcode": 0}, {"success": {"$deep": 5}, "retcode": "x"})
            ]
            send(fleet, LIAR, loads)
            out, err = running.communicate(timeout=200)
            said = steps.documents(out)[-1]
            assert VICTIM in said["asked"], (said, err)
            assert VICTIM not in said["confirmed"], said
            assert VICTIM in {*said["silent"], *said["failed"]}, said
            assert "Traceback" not in err
            others = [node for node in MEMBERS if node != VICTIM]
            assert set(others) <= set(said["confirmed"]) | {n for n in others if n not in said["asked"]}, said
        assert {who: row.public_key for who, row in registry(fleet).snapshot().rows.items()} == {
            who: row.public_key for who, row in before.items()
        }
    finally:
        fleet.on(VICTIM, boot=True)
    wait_in_sync(fleet)
    assert_sane(fleet)


def job_for(recorder, node):
    for tag, data in recorder.all():
        if (
            re.fullmatch(r"salt/job/\d+/new", tag)
            and data.get("fun") == "wireguard.sync"
            and node in data.get("minions", [])
        ):
            return data["jid"]
    return None


def test_a_rotation_is_not_broken_by_forged_events(fleet):
    """An id that cannot be hashed ended it between announcement and switch."""
    wait_in_sync(fleet)
    old = steps.public_key(fleet, "node3")
    rotating = subprocess.Popen(
        fleet.argv("salt-run", "wireguard.rotate", "node3", "--out=json"), stdout=subprocess.PIPE, text=True
    )
    names = [VICTIM, LIAR, [VICTIM], {"a": 1}, {"$deep": 900}, None]
    while rotating.poll() is None:
        send(fleet, LIAR, [bare("wireguard/following", {"id": name}) for name in names] * 5)
    (row,) = steps.documents(rotating.communicate(timeout=200)[0])[-1]["rotations"]
    assert row["rotated"], row
    assert steps.public_key(fleet, "node3") != old
    wait_in_sync(fleet)


# -- floods


def test_during_a_flood_of_bad_events_minions_answer_and_a_node_joins(fleet):
    """With the reactor, each event costs ten times as much, so there are fewer."""
    wait_in_sync(fleet)
    count = 500 if fleet.trigger == "engine" else 60
    lines = len(refused_lines(fleet))
    before = registry(fleet).snapshot().rows
    pem = private_pem(fleet, LIAR)
    later = time.time_ns() + 10**12
    one = sign(Registration(VICTIM, "backbone", KEY, (), 1, later), pem)
    loads = [
        event(REGISTER_TAG, {"signed": {**one, "statement": f"{one['statement']}{' ' * n}"}}) for n in range(count)
    ]
    flood = subprocess.Popen(
        fleet.argv("exec", LIAR, "python3", "-c", RAW), stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    flood.stdin.write(json.dumps(loads))
    flood.stdin.close()
    steps.wait_until("the flood has begun", lambda: len(refused_lines(fleet)) > lines)
    assert fleet.salt_json("*", "test.ping", "--timeout=60") == dict.fromkeys([*MEMBERS, STRANGER], True)
    with steps.other_mesh(fleet, MESH.replace("node3: {}", "node3: {}, node4: {}")):
        assert steps.failures(steps.state_apply(fleet, STRANGER)) == []
        steps.wait_until("the flood is over", lambda: len(refused_lines(fleet)) >= lines + count, 300)
        flood.wait(timeout=120)
        wait_in_sync(fleet)
        after = registry(fleet).snapshot().rows
        assert ("backbone", STRANGER) in after
        assert {who: row for who, row in after.items() if who[1] != STRANGER} == before
        assert_sane(fleet)
    steps.reconcile(fleet)
    steps.wait_until("it has left again", lambda: not steps.has_device(fleet, STRANGER))
