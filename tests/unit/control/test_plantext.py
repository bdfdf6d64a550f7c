"""The steps of a plan as a person reads them."""

from factories import change
from saltext.wireguard.control.plantext import COLUMNS, fold
from saltext.wireguard.control.text import render
from saltext.wireguard.model.answers import Step

JOINS = {"public_key": "K" * 44, "allowed_ips": ["10.42.0.9/32"], "endpoint": "192.0.2.9:51820", "keepalive": 0}


def step(node, words, old, new, disturbs=0):
    return Step("net", node, change(words, old, new), disturbs).to_dict()


def folded(*steps):
    return [(row["nodes"], row["change"], row["details"], row["cuts off"]) for row in fold(steps)]


def test_steps_are_known_by_their_columns():
    assert step("a", "mtu", None, "1380").keys() == COLUMNS


def test_what_is_the_same_on_many_nodes_is_one_line():
    many = [step(f"n{number:02}", "peer web9", None, JOINS) for number in range(40)]
    assert folded(*many) == [("40 nodes", "+ peer web9", "10.42.0.9/32, at 192.0.2.9:51820, key KKKKKKKK...", None)]


def test_few_nodes_are_named_and_their_sessions_summed():
    gone = [step(node, "peer a", {**JOINS, "endpoint": f"{node}:1"}, None, 1) for node in ("n2", "n1")]
    assert folded(*gone) == [("n1, n2", "- peer a", "10.42.0.9/32, key KKKKKKKK...", "2")]


def test_what_changes_is_shown_before_and_after():
    assert folded(step("a", "mtu", "1420", "1380")) == [("a", "~ mtu", "1420 -> 1380", None)]
    old, new = {"endpoint": None, "keepalive": 25}, {"endpoint": "192.0.2.1:1", "keepalive": 0}
    assert folded(step("a", "peer b", old, new)) == [
        ("a", "~ peer b", "keepalive 25 -> at 192.0.2.1:1, keepalive 0", None)
    ]


def test_sessions_that_nobody_could_count_are_said_to_be_unknown():
    assert folded(step("a", "interface wg0", "present", None, None))[0][3] == "not known"
    both = [step("a", "peer x", JOINS, None, 1), step("b", "peer x", JOINS, None, None)]
    assert folded(*both)[0][3] == "1 or more"


def test_that_the_file_is_written_is_said_only_where_nothing_else_changes():
    file = step("a", "/etc/wireguard/wg0.conf", None, "written")
    assert [row[1] for row in folded(file, step("a", "mtu", "1", "2"))] == ["~ mtu"]
    assert [row[1] for row in folded(file, step("b", "mtu", "1", "2"))] == ["+ /etc/wireguard/wg0.conf", "~ mtu"]


def test_many_peers_that_come_to_one_node_are_one_line():
    comes = [step("new", f"peer p{number}", None, JOINS) for number in range(9)]
    assert folded(*comes, step("new", "device", None, "wg0")) == [
        ("new", "+ device", "wg0", None),
        ("new", "+ 9 peers", "p0, p1, p2, p3 and 5 more", None),
    ]


def test_in_the_terminal_it_is_a_table_and_other_rows_stay_as_they_are():
    shown = render({"changes": [step("a", "mtu", "1420", "1380")], "rows": [{"node": "x"}]})
    assert "net      a      ~ mtu   1420 -> 1380  -" in shown
    assert "node" in shown


def test_a_long_list_in_a_table_is_cut_off():
    shown = render({"relayed": [{"nodes": [f"n{number}" for number in range(100)], "hub": "hub1"}]})
    assert "n7, and 92 more  hub1" in shown
