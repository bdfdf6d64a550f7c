import base64

import pytest

from factories import accepted, mesh, public_key, row, snapshot
from saltext.wireguard.errors import MeshError, ViewError
from saltext.wireguard.fleet.fleet import Fleet
from saltext.wireguard.formats.external_peer import FORMS, text
from saltext.wireguard.formats.preshared import rewrite
from saltext.wireguard.model import preshared
from saltext.wireguard.model.peer import HIDDEN
from saltext.wireguard.model.preshared import known, secret
from saltext.wireguard.model.view import View

SECRET = secret("a secret that is long enough for this")
OTHER = secret("another secret, also long enough for it")
PHONE = f"phone: {{public_key: {public_key('phone')}, addresses: [10.42.0.200]%s}}"
ON = "preshared_keys: true"


def join(extra=ON, rows=("a", "b", "c"), key=SECRET, **kwargs):
    rows = [row(each, network="net") if isinstance(each, str) else each for each in rows]
    nodes = [each.node for each in rows]
    return Fleet(mesh(extra=extra, **kwargs), snapshot(*rows), accepted(*nodes), 0.0, key)


def told(fleet, node):
    return fleet.views_with_secrets(node)["net"]


def peer_of(view, name):
    return next(peer for peer in view.peers if peer.name == name)


# --- what is derived -------------------------------------------------------------------------------------------------


def test_a_preshared_key_is_what_wg_takes_for_one():
    assert len(base64.b64decode(SECRET.key("A", "B"), validate=True)) == 32


def test_both_ends_of_a_pair_get_the_same():
    assert SECRET.key("A", "B") == SECRET.key("B", "A")


def test_every_pair_and_every_secret_gives_another_key():
    keys = [each.key(*pair) for each in (SECRET, OTHER) for pair in ("AB", "AC", "BC", "AA")]
    assert len(set(keys)) == 8


def test_the_derivation_is_fixed():
    """With another one, an upgrade of the master would change all preshared keys."""
    assert SECRET.key("A", "B") == "SeuVgScNknSWha28nqdCxX49xwwHgrOOnHqZHESq6x8="
    assert SECRET.name == "de98470ad8dfe23e"


def test_the_name_of_a_secret_tells_it_from_another_and_nothing_else():
    assert SECRET.name != OTHER.name
    assert SECRET.name not in SECRET.text
    assert SECRET.name not in SECRET.key("A", "B")


def test_a_secret_does_not_print():
    assert SECRET.text not in repr(SECRET)


def test_a_new_secret_is_long_enough_and_never_the_same():
    one, other = preshared.new_secret(), preshared.new_secret()
    assert one != other
    assert len(one) >= preshared.SHORTEST_SECRET


# --- who is told what ------------------------------------------------------------------------------------------------


def test_both_nodes_of_a_pair_are_told_the_same_key_and_other_pairs_have_others():
    fleet = join()
    a, b, c = (told(fleet, node) for node in "abc")
    assert peer_of(a, "b").preshared_key == peer_of(b, "a").preshared_key
    keys = {peer.preshared_key for view in (a, b, c) for peer in view.peers}
    assert len(keys) == 3


def test_a_nodes_pillar_has_the_keys_of_its_own_pairs_alone():
    fleet = join()
    pair = peer_of(told(fleet, "b"), "c").preshared_key
    assert pair not in str(told(fleet, "a").to_dict())


def test_without_preshared_keys_a_view_is_what_it_was_before_there_were_any():
    """An upgrade makes no node apply anything, and nodes with older modules go on understanding their pillar."""
    fleet = join(extra="port: 51820")
    assert "preshared" not in str(told(fleet, "a").to_dict())
    assert fleet.digests()["net", "a"] == "9431d29c42cbbcd8e7756e0791e2b90b04347f5502f84699a1b4c8b286f707e0"


def test_a_view_that_is_not_for_its_node_hides_the_keys():
    view = join().views("a")["net"]
    assert view.to_dict()["peers"]["b"]["preshared_key"] == HIDDEN


def test_the_views_of_a_fleet_print_no_key():
    view = told(join(rows=[row("a", next_key=public_key("next")), "b"]), "a")
    assert peer_of(view, "b").preshared_key not in repr(view)
    assert view.next_preshared_keys[public_key("b")] not in repr(view)


def test_a_hidden_key_is_none_for_a_node():
    with pytest.raises(ViewError, match="preshared_key: a preshared key is 44 characters of base64"):
        View.from_dict(join().views("a")["net"].to_dict(), "net")


def test_a_view_survives_the_pillar_with_its_keys():
    view = told(join(rows=[row("a", next_key=public_key("next a")), row("b", next_key=public_key("next b"))]), "a")
    assert View.from_dict(view.to_dict(), "net") == view


@pytest.mark.parametrize("value", ["c2VjcmV0", 5, ["c2VjcmV0"], {"key": "c2VjcmV0"}, "A" * 43 + "="])
@pytest.mark.parametrize("field", ["preshared_key", "next_preshared_key"])
def test_a_malformed_preshared_key_is_refused_without_showing_it(field, value):
    data = told(join(), "a").to_dict()
    data["peers"]["b"][field] = value
    with pytest.raises(ViewError) as caught:
        View.from_dict(data, "net")
    assert f"peer 'b': {field}: " in str(caught.value)
    assert "c2VjcmV0" not in str(caught.value)


# --- what is out of date ---------------------------------------------------------------------------------------------


def test_another_secret_makes_every_view_another():
    before, after = join().digests(), join(key=OTHER).digests()
    assert not set(before.values()) & set(after.values())


def test_turning_preshared_keys_on_makes_every_view_another():
    assert not set(join(extra="").digests().values()) & set(join().digests().values())


def test_a_node_computes_the_digest_that_the_master_waits_for():
    fleet = join()
    assert View.from_dict(told(fleet, "a").to_dict(), "net").digest == fleet.digests()["net", "a"]


def test_peers_that_see_a_node_alike_share_one_object_with_preshared_keys_too():
    fleet = join()
    assert peer_of(fleet.views("a")["net"], "c") is peer_of(fleet.views("b")["net"], "c")


# --- external peers ---------------------------------------------------------------------------------------------------


def test_a_phone_has_no_preshared_key_unless_the_file_says_so():
    """Nobody could tell it to the phone: turning the option on must not cut it off."""
    fleet = join(peers=PHONE % "")
    assert not peer_of(told(fleet, "a"), "phone").preshared
    assert "preshared_key" not in told(fleet, "a").to_dict()["peers"]["phone"]
    assert not peer_of(fleet.networks["net"].view_of_peer("phone"), "a").preshared


def test_a_phone_that_wants_one_has_one_with_each_node():
    fleet = join(peers=PHONE % ", preshared_key: true")
    client = fleet.networks["net"].view_of_peer("phone")
    assert peer_of(told(fleet, "a"), "phone").preshared_key == peer_of(client, "a").preshared_key
    assert peer_of(client, "a").preshared_key != peer_of(client, "b").preshared_key


def test_another_secret_makes_the_configuration_of_a_phone_outdated():
    before, after = (join(peers=PHONE % ", preshared_key: true", key=each) for each in (SECRET, OTHER))
    assert before.networks["net"].view_of_peer("phone").digest != after.networks["net"].view_of_peer("phone").digest


@pytest.mark.parametrize("form", sorted(FORMS))
def test_each_form_of_a_configuration_has_the_preshared_key_if_there_is_one(form):
    for wanted in (False, True):
        view = join(peers=PHONE % f", preshared_key: {str(wanted).lower()}").networks["net"].view_of_peer("phone")
        key = SECRET.key(public_key("a"), public_key("phone"))
        assert (key in text(view, "phone", None, form)) == wanted


def test_a_phone_that_gets_one_makes_the_nodes_out_of_date():
    before, after = (join(peers=PHONE % each) for each in ("", ", preshared_key: true"))
    assert before.digests()["net", "a"] != after.digests()["net", "a"]


def test_a_phone_of_a_network_without_preshared_keys_cannot_have_one():
    with pytest.raises(MeshError, match=r"peer 'phone' has preshared keys, but its network does not; write"):
        join(extra="", peers=PHONE % ", preshared_key: true")


# --- nodes that change their key -------------------------------------------------------------------------------------

NEXT_A, NEXT_B = public_key("next a"), public_key("next b")


@pytest.mark.parametrize("a", [public_key("a"), NEXT_A])
@pytest.mark.parametrize("b", [public_key("b"), NEXT_B])
def test_whichever_key_each_of_two_that_rotate_uses_both_ends_agree(a, b):
    fleet = join(rows=[row("a", next_key=NEXT_A), row("b", next_key=NEXT_B)])
    assert known(told(fleet, "a"), a)[b] == known(told(fleet, "b"), b)[a]


@pytest.mark.parametrize("behind", ["a", "b"])
def test_a_node_that_has_not_heard_of_the_end_of_a_rotation_agrees_all_the_same(behind):
    """Between registration and the last sync, one end has the view from before and the other that from after."""
    before = join(rows=[row("a", next_key=NEXT_A), "b"])
    after = join(rows=[row("a", public_key=NEXT_A), "b"])
    a = told(before if behind == "a" else after, "a")
    b = told(before if behind == "b" else after, "b")
    assert known(a, NEXT_A)[public_key("b")] == known(b, public_key("b"))[NEXT_A]


def test_before_it_is_announced_the_keys_of_a_next_key_are_not_known():
    assert known(told(join(), "a"), NEXT_A) == {}


def test_an_announcement_does_not_make_the_node_itself_out_of_date():
    before, after = join(rows=["a", "b"]), join(rows=[row("a", next_key=NEXT_A), "b"])
    assert before.digests()["net", "a"] == after.digests()["net", "a"]


# --- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("equals", ["=", " = "])
def test_only_the_preshared_keys_of_a_file_are_replaced(equals):
    section = "# {0}\n[Peer]\nPublicKey{1}{0}\nPresharedKey{1}{2}\nAllowedIPs{1}10.0.0.1/32\n"
    text = "".join([section.format("A", equals, "x"), "[Peer]\nPublicKey = B\n", section.format("C", equals, "z")])
    assert rewrite(text, {"A": "new", "B": "none"}) == text.replace(f"{equals}x", f"{equals}new")
