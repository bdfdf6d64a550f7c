"""What the engine makes of events, against stand-ins: when it reconciles, and that nothing ends it."""

import logging
import threading
import time
from pathlib import Path

import pytest

from answering import Fleet
from factories import mesh_text, public_key, registration
from operating import operator_of
from saltext.wireguard.control.engine import Engine, Watch, rotations_at_once
from saltext.wireguard.errors import ConfigError
from saltext.wireguard.model.statements import REGISTER_TAG
from saltext.wireguard.rollout.hold import put_on_hold


@pytest.fixture
def fleet(tmp_path):
    return Fleet(tmp_path, "abc")


@pytest.fixture
def engine(fleet):
    """One that has reconciled once, as it does when it starts."""
    made = Engine(operator_of(fleet), quiet=0.0, at_most=0.0, interval=3600.0)
    made._watches = [Watch(made._mesh_stamp, 0.0)]
    step(made, None)
    fleet.forget()
    return made


def step(engine, event):
    """A step, and the end of what it began."""
    engine.step(event)
    for thread in set(threading.enumerate()) - {threading.current_thread()}:
        if thread.name.startswith("wireguard"):
            thread.join(20)


def event(tag, data):
    return {"tag": tag, "data": data}


def test_events_of_others_are_no_reason_to_reconcile(fleet, engine):
    fleet.delete_salt_key("c")
    step(engine, event("salt/job/1/new", {}))
    assert fleet.jobs == []


@pytest.mark.parametrize("tag", ["salt/key", "salt/minion/c/start"])
def test_a_key_that_is_accepted_or_deleted_and_a_minion_that_starts_are_reasons(fleet, engine, tag):
    fleet.delete_salt_key("c")
    step(engine, event(tag, {"id": "c"}))
    assert fleet.functions == [("wireguard.delta", ["a", "b"])]


def test_a_minion_that_appears_is_asked_for_a_first_state_apply(fleet, engine):
    fleet.accept("new")
    step(engine, event("salt/key", {}))
    assert fleet.jobs == []
    step(engine, event("salt/minion/new/start", {"id": "new"}))
    assert fleet.functions[0] == ("state.apply", ["new"])


def test_a_registration_that_is_news_is_a_reason(fleet, engine):
    statement = registration("a", 10**6, public_key=public_key("a"), endpoints=("192.0.2.9",))
    step(engine, event(REGISTER_TAG, {"id": "a", "data": {"signed": fleet.sign(statement)}}))
    assert fleet.functions == [("wireguard.delta", ["b", "c"])]


def beacon(what, node):
    return event(f"salt/beacon/{node}/wireguard/{what}", {"id": node, "what": what, "network": "net"})


def test_a_node_whose_beacon_tells_of_drift_is_asked_to_sync_though_it_reported_all_is_well(fleet, engine):
    step(engine, beacon("drift", "b"))
    assert fleet.functions == [("wireguard.sync", ["b"])]


def test_drift_that_the_mesh_file_leaves_alone_is_no_reason_to_ask(fleet, engine):
    fleet.mesh.write_text(mesh_text("'*': {}", extra="drift: report"))
    step(engine, beacon("drift", "b"))
    assert fleet.jobs == []
    step(engine, beacon("interface_gone", "a"))
    assert fleet.functions == [("wireguard.sync", ["a"])]


def test_it_is_asked_once_in_a_while_as_anybody_can_send_that_in_its_name(fleet, engine):
    for _ in range(5):
        step(engine, beacon("interface_gone", "b"))
    assert fleet.functions == [("wireguard.sync", ["b"])]


def test_what_no_sync_mends_is_no_reason_nor_is_what_is_told_of_a_stranger(fleet, engine):
    step(engine, beacon("peer_down", "b"))
    step(engine, beacon("drift", "stranger"))
    for data in (None, ["b"], {}, {"id": 5}, {"id": ["b"]}, {"id": ""}, {"id": "b" * 300}):
        step(engine, event("salt/beacon/b/wireguard/drift", data))
    assert fleet.jobs == []


def test_a_hold_keeps_the_engine_from_mending(fleet, engine):
    put_on_hold(fleet.master.state_dir, "alice", "")
    step(engine, beacon("drift", "b"))
    assert fleet.jobs == []


def test_an_edited_mesh_file_is_a_reason(fleet, engine):
    fleet.change_everybody()
    step(engine, None)
    assert fleet.functions == [("wireguard.sync", ["a", "b", "c"])]


def test_an_invalid_mesh_file_is_in_the_log_and_the_engine_goes_on(fleet, engine, caplog):
    text = fleet.mesh.read_text()
    fleet.mesh.write_text("networks: {net: {}}")
    with caplog.at_level(logging.ERROR):
        step(engine, None)
        step(engine, event("salt/key", {}))
    assert "mesh.yml:1" in caplog.text
    fleet.mesh.write_text(text.replace("'*': {}", "'*': {port: 4000}"))
    step(engine, None)
    assert fleet.functions == [("wireguard.sync", ["a", "b", "c"])]


def test_the_same_error_is_in_the_log_once_in_a_while_however_often_events_bring_it_about(fleet, engine, caplog):
    """While the mesh file was invalid, each true registration of a member was an error in the log: gigabytes a day."""
    fleet.mesh.write_text("networks: {net: {}}")
    for serial in range(20):
        statement = registration("a", 10**6 + serial, public_key=public_key("a"))
        engine.step(event(REGISTER_TAG, {"id": "a", "data": {"signed": fleet.sign(statement)}}))
    assert [record.levelname for record in caplog.records if "mesh.yml" in record.getMessage()] == ["ERROR"]


def test_an_id_of_any_kind_in_the_event_of_a_start_is_not_kept(engine):
    deep = []
    for _ in range(2000):
        deep = [deep]
    for odd in ("x" * 10**6, deep, {"a": 1}, 5, None):
        assert engine._contact_after(event("salt/minion/a/start", {"id": odd})) == ()


def test_the_registry_stays_open_while_statements_come_and_is_written_back_when_none_does(fleet, engine):
    """Each statement closed it for the last time, which waits for the disk: half of what it cost."""
    log = Path(f"{fleet.master.registry.place}-wal")
    for serial in range(3):
        statement = registration("a", 10**6 + serial, public_key=public_key("a"))
        engine.step(event(REGISTER_TAG, {"id": "a", "data": {"signed": fleet.sign(statement)}}))
        assert log.exists()
    engine.step(None)
    assert not log.exists()


def test_an_event_of_any_shape_does_not_end_it(fleet, engine, caplog):
    for odd in (None, [], "x", 5):
        step(engine, event("salt/minion/a/start", odd))
        step(engine, event(REGISTER_TAG, odd))
    assert fleet.jobs == []


def test_a_watch_notices_a_change_once_and_an_error_like_any_other_value():
    values = [1, 1, 2, 2, ConfigError("no"), ConfigError("no"), 2]

    def look():
        value = values.pop(0)
        if isinstance(value, Exception):
            raise value
        return value

    watch = Watch(look, 0.0)
    assert [watch.changed() for _ in range(6)] == [False, True, False, True, False, True]


def test_a_watch_looks_no_more_often_than_it_should():
    looks = []
    watch = Watch(lambda: looks.append(time.monotonic()), 60.0)
    assert [watch.changed() for _ in range(100)] == [False] * 100
    assert len(looks) == 1


def test_as_many_keys_are_rotated_at_once_as_keep_up_with_the_shortest_interval(fleet):
    assert rotations_at_once(fleet.master.moment(), 300) == 0
    fleet.mesh.write_text(mesh_text("'*': {}", extra="rotate_every: 1h"))
    assert rotations_at_once(fleet.master.moment(), 300) == 1
    assert rotations_at_once(fleet.master.moment(), 3600) == 6
