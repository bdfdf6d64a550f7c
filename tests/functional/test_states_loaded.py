"""The states, through Salt's loader and through its state compiler."""

import os
from pathlib import Path

import pytest

pytest.importorskip("salt")

from hosts import ETC, PEERS, REPO, key, peer, registered, view
from saltext.wireguard import __version__

ROUTER = {"router": {"public_key": key("router"), "allowed_ips": ["10.9.0.2/32"], "endpoint": "127.0.0.1:4444"}}


# -- present, for a network


def test_a_network_becomes_present_and_is_then_left_alone(host):
    wanted = registered(host)
    first = host.state("present", "backbone")
    assert (first["name"], first["result"]) == ("backbone", True)
    assert first["changes"]["peer node2"] == {
        "old": None,
        "new": {
            "public_key": key("node2"),
            "allowed_ips": ["10.42.0.2/32", "192.168.40.0/24"],
            "endpoint": "127.0.0.1:4444",
            "keepalive": 25,
        },
    }
    assert first["changes"]["private key"]["new"] == {"public_key": wanted.public_key}
    assert host.device().addresses == set(wanted.addresses)
    second = host.state("present", "backbone")
    assert (second["result"], second["changes"]) == (True, {})


def test_changes_show_old_and_new_of_what_differs(host):
    registered(host)
    host.state("present", "backbone")
    moved = peer("node2", "10.42.0.22/32", "192.168.40.0/24", endpoint="127.0.0.1:4444", keepalive=10)
    registered(host, moved, *PEERS[1:], mtu=1400)
    changes = host.state("present", "backbone")["changes"]
    assert changes.pop("/etc/wireguard/wg0.conf")
    assert changes == {
        "mtu": {"old": "1380", "new": "1400"},
        "peer node2": {
            "old": {"keepalive": 25, "allowed_ips": ["10.42.0.2/32", "192.168.40.0/24"]},
            "new": {"keepalive": 10, "allowed_ips": ["10.42.0.22/32", "192.168.40.0/24"]},
        },
    }


def test_a_test_run_returns_none_with_the_changes_and_does_nothing(host):
    registered(host)
    before = host.picture()
    answer = host.state("present", "backbone", test=True)
    assert answer["result"] is None
    assert "device" in answer["changes"]
    assert host.picture() == before


def test_a_test_run_that_would_change_nothing_returns_true(host):
    registered(host)
    host.state("present", "backbone")
    answer = host.state("present", "backbone", test=True)
    assert (answer["result"], answer["changes"]) == (True, {})


def test_a_network_that_is_not_in_the_pillar_fails_with_a_comment(host):
    answer = host.state("present", "backbone")
    assert (answer["result"], answer["changes"]) == (False, {})
    assert "no WireGuard network 'backbone'" in answer["comment"]


@pytest.mark.parametrize(
    "pillar",
    [
        {"_errors": ["mesh.yml:3: wrong"], "wireguard": {"networks": {"backbone": {}}}},
        {"wireguard": {"networks": {"backbone": {"interface": "wg0", "port": 0}}}},
        {"wireguard": {"networks": {"backbone": None}}},
        {"wireguard": {"networks": {"backbone": []}}},
        {"wireguard": {"networks": []}},
        {"wireguard": {"networks": ["backbone"]}},
        {"wireguard": []},
        {"wireguard": "yes"},
    ],
    ids=str,
)
def test_whatever_is_wrong_with_the_pillar_is_a_failure_and_no_exception(host, pillar):
    """A pillar that somebody filled by hand, with a list for a mapping, made tracebacks."""
    host.set_pillar(pillar)
    answer = host.state("present", "backbone")
    assert (answer["result"], answer["changes"]) == (False, {})
    assert answer["comment"]
    assert os.listdir(ETC) == []


def test_a_device_that_cannot_be_made_is_a_failure_and_no_exception(host):
    registered(host)
    for program in ("ip", "wireguard-go"):
        host.put_program(program, 'case "$*" in *add*|wg0) echo no >&2; exit 2;; esac; exec $real "$@"')
    answer = host.state("present", "backbone")
    assert (answer["result"], answer["changes"]) == (False, {})


# -- present, with explicit arguments


def test_explicit_arguments_make_an_interface(host):
    answer = host.state("present", "wg5", addresses=["10.9.0.1/24"], port=51821, peers=ROUTER)
    assert answer["result"] is True
    assert set(answer["changes"]) >= {"device", "listen port", "address 10.9.0.1/24", "peer router"}
    assert host.device("wg5").addresses == {"10.9.0.1/24"}
    again = host.state("present", "wg5", addresses=["10.9.0.1/24"], port=51821, peers=ROUTER)
    assert (again["result"], again["changes"]) == (True, {})


def test_explicit_arguments_in_a_test_run_change_nothing(host):
    before = host.picture()
    assert host.state("present", "wg5", addresses=["10.9.0.1/24"], test=True)["result"] is None
    assert host.picture() == before


def test_explicit_arguments_without_addresses_are_a_mistake_that_is_explained(host):
    answer = host.state("present", "wg5", port=51821, peers=ROUTER)
    assert answer["result"] is False
    assert "peers, port without `addresses`" in answer["comment"]
    assert "wg5" in answer["comment"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"addresses": "10.9.0.1/24"},
        {"addresses": []},
        {"addresses": ["10.9.0.1/24"], "peers": []},
        {"addresses": ["10.9.0.1/24"], "peers": ["router"]},
        {"addresses": ["10.9.0.1/24"], "peers": {"router": None}},
        {"addresses": ["10.9.0.1/24"], "peers": {"router": {"endpoint": "a:1"}}},
        {"addresses": ["10.9.0.1/24"], "private_key_file": "/no/such/file"},
        {"addresses": ["10.9.0.1/24"], "private_key_file": "/"},
        {"addresses": ["10.9.0.1/24"], "port": "51821"},
        {"addresses": {"a": 1}},
    ],
    ids=str,
)
def test_explicit_arguments_that_make_no_sense_never_raise(host, arguments):
    answer = host.state("present", "wg5", **arguments)
    assert answer["result"] in (False, True)
    assert answer["comment"]
    if answer["result"]:
        assert arguments["addresses"] == [] or arguments.get("peers") == []
    else:
        assert host.device("wg5") is None


# -- absent


def test_an_interface_becomes_absent_and_stays_so(host):
    registered(host)
    host.state("present", "backbone")
    announced = host.state("absent", "wg0", test=True)
    assert (announced["result"], announced["changes"]) == (None, {"interface wg0": {"old": "present", "new": None}})
    assert host.device() is not None
    assert host.state("absent", "wg0") == {**announced, "result": True, "comment": host_comment(announced, host)}
    assert host.device() is None
    again = host.state("absent", "wg0")
    assert (again["result"], again["changes"]) == (True, {})


def host_comment(announced, host):
    (aside,) = [name for name in os.listdir(ETC) if "removed" in name]
    return f"wg0 was removed; its key is kept in {ETC / aside}"


def test_an_interface_of_somebody_else_is_not_made_absent(host):
    (ETC / "office.conf").write_text("[Interface]\n")
    answer = host.state("absent", "office")
    assert (answer["result"], answer["changes"]) == (False, {})
    assert "was not written by these modules" in answer["comment"]
    assert (ETC / "office.conf").exists()


# -- salt://wireguard


def compiled(host, sls="wireguard"):
    """What salt://wireguard becomes: {id: {module.function: arguments}}."""
    high = host.salt("state.show_sls", sls)
    assert isinstance(high, dict), high
    states = {}
    for name, parts in high.items():
        for module, arguments in parts.items():
            if not module.startswith("__"):
                (function,) = [each for each in arguments if isinstance(each, str)]
                merged = {}
                for each in arguments:
                    merged.update(each if isinstance(each, dict) else {})
                merged.pop("order")
                states[name] = {f"{module}.{function}": merged}
    return states


def without_packages(host):
    host.configure(wireguard={"install_packages": False})


def test_each_network_of_the_pillar_becomes_a_state(host):
    without_packages(host)
    wanted = view(None).to_dict()
    host.set_pillar({"wireguard": {"networks": {"storage": wanted, "backbone": wanted}}})
    assert compiled(host) == {
        "wireguard_network_backbone": {"wireguard.present": {"name": "backbone"}},
        "wireguard_network_storage": {"wireguard.present": {"name": "storage"}},
    }


@pytest.mark.parametrize("pillar", [{}, {"wireguard": None}, {"wireguard": {"install_packages": False}}], ids=str)
def test_a_pillar_without_networks_makes_nothing_happen(host, pillar):
    registered(host)
    host.state("present", "backbone")
    without_packages(host)
    host.set_pillar(pillar)
    (name,) = compiled(host)
    assert name == "wireguard_nothing_to_do"


def test_a_leftover_interface_becomes_absent(host):
    registered(host)
    host.state("present", "backbone")
    host.call("apply_interface", "wg7", ["10.9.0.1/24"])
    without_packages(host)
    host.set_pillar({"wireguard": {"networks": {}}})
    assert compiled(host) == {"wireguard_gone": {"wireguard.gone": {"networks": []}}}
    assert host.state("gone", "wireguard_gone", [], test=True)["result"] is None
    answer = host.state("gone", "wireguard_gone", [])
    assert (answer["result"], list(answer["changes"])) == (True, ["wg0"])
    assert (host.device("wg0"), bool(host.device("wg7"))) == (None, True)
    again = host.state("gone", "wireguard_gone", [])
    assert (again["result"], again["changes"]) == (True, {})
    assert list(compiled(host)) == ["wireguard_nothing_left"]


def test_a_machine_is_cleaned_as_the_test_run_says_and_then_left_alone(host):
    registered(host)
    host.state("present", "backbone")
    host.call("apply_interface", "wg7", ["10.9.0.1/24"])
    host.set_pillar({"wireguard": {"networks": {}}})
    before = host.picture()
    told = host.state("cleaned", "all", purge=True, test=True)
    assert (told["result"], host.picture()) == (None, before)
    assert {*told["changes"]} == {"interface wg0", "interface wg7", f"{ETC}/wg0.key", f"{ETC}/wg7.key"}
    done = host.state("cleaned", "all", purge=True)
    assert (done["result"], len(done["changes"])) == (True, 4)
    assert (host.device("wg0"), host.device("wg7"), os.listdir(ETC)) == (None, None, [])
    again = host.state("cleaned", "all", purge=True)
    assert (again["result"], again["changes"]) == (True, {})


def test_the_state_clean_takes_packages_off_as_well(host):
    assert compiled(host, "wireguard.clean") == {
        "wireguard_cleaned": {"wireguard.cleaned": {"purge": False, "force": False, "reason": None}},
        "wireguard_packages_removed": {
            "pkg.removed": {"pkgs": ["wireguard-tools"], "require": [{"wireguard": "wireguard_cleaned"}]}
        },
    }


def test_the_state_clean_leaves_the_packages_where_somebody_else_needs_them(host):
    (Path(ETC) / "wg9.conf").write_text("[Interface]\n")
    made = compiled(host, "wireguard.clean")
    assert made["wireguard_packages_stay"]["test.succeed_without_changes"]["name"].endswith("not ours: wg9")
    without_packages(host)
    (Path(ETC) / "wg9.conf").unlink()
    assert "wireguard_packages_stay" in compiled(host, "wireguard.clean")


def test_the_state_clean_does_what_the_pillar_says(host):
    host.set_pillar({"wireguard": {"clean": {"purge": True, "force": True, "reason": "it's over: now"}}})
    assert compiled(host, "wireguard.clean")["wireguard_cleaned"] == {
        "wireguard.cleaned": {"purge": True, "force": True, "reason": "it's over: now"}
    }


def test_the_state_clean_has_nothing_to_do_without_the_modules(host):
    host.configure(module_dirs=[])
    assert list(compiled(host, "wireguard.clean")) == ["wireguard_nothing_to_clean"]


PACKAGES = {
    "Debian": ["wireguard-tools", "iproute2"],
    "RedHat": ["wireguard-tools", "iproute"],
    "Suse": ["wireguard-tools", "iproute2"],
    "Arch": ["wireguard-tools", "iproute2"],
    "Alpine": ["wireguard-tools", "iproute2"],
}


def as_member(host, **settings):
    host.set_pillar({"wireguard": {"networks": {"backbone": view(None).to_dict()}, **settings}})


def test_packages_are_those_of_the_system(host):
    as_member(host)
    for family, packages in PACKAGES.items():
        host.configure(grains={**host.opts["grains"], "os_family": family})
        assert compiled(host, "wireguard.packages")["wireguard_packages"] == {"pkg.installed": {"pkgs": packages}}


def test_a_system_whose_packages_are_unknown_is_told_what_to_do(host):
    as_member(host)
    host.configure(grains={**host.opts["grains"], "os_family": "Plan9"})
    (arguments,) = compiled(host, "wireguard.packages")["wireguard_packages"].values()
    assert "Plan9" in arguments["name"]
    assert "install_packages: false" in arguments["name"]


def test_packages_are_those_that_the_lookup_of_the_pillar_names(host):
    """Packages of another name, as of one's own repository, took an SLS file of one's own."""
    for family in ("Debian", "Plan9"):
        as_member(host, lookup={"packages": ["our-wireguard"]})
        host.configure(grains={**host.opts["grains"], "os_family": family})
        made = compiled(host, "wireguard.packages")
        assert made["wireguard_packages"] == {"pkg.installed": {"pkgs": ["our-wireguard"]}}


def test_packages_are_left_alone_where_the_configuration_or_the_pillar_says_so(host):
    as_member(host)
    assert "wireguard_packages" in compiled(host, "wireguard.packages")
    as_member(host, install_packages=False)
    assert compiled(host, "wireguard.packages") == {}
    as_member(host)
    without_packages(host)
    assert compiled(host, "wireguard.packages") == {}


def test_minions_that_are_in_no_network_get_neither_packages_nor_modules(host):
    host.configure(module_dirs=[])
    for pillar in ({}, {"wireguard": {"networks": {}}}):
        host.set_pillar(pillar)
        assert compiled(host, "wireguard.packages") == {}
    host.set_pillar({})
    assert list(compiled(host)) == ["wireguard_nothing_to_do"]


def test_the_package_state_is_one_that_salt_can_run(host):
    if host.opts["grains"]["os_family"] != "Debian":
        pytest.skip("needs apt")
    as_member(host)
    (answer,) = host.salt("state.sls", "wireguard.packages", test=True).values()
    assert answer["result"] in (True, None)


def test_modules_of_the_right_version_are_not_synced_again(host):
    as_member(host)
    assert host.call("version") == __version__
    assert "wireguard_modules" not in compiled(host)


OTHER = """
def modules():
    return {"version": "0.0.1", "digest": "0123456789abcdef", "folder": "/somewhere", "synced": True}

def gone(networks):
    return []
"""


@pytest.mark.parametrize(
    ("settings", "is_synced"),
    [({}, True), ({"modules_digest": "fedcba9876543210"}, True), ({"modules_digest": "0123456789abcdef"}, False)],
    ids=["another version", "another digest", "the master's digest"],
)
def test_modules_that_are_not_the_masters_are_synced(host, settings, is_synced):
    other = host.disk / "other" / "_modules"
    other.mkdir(parents=True)
    (other / "wireguard.py").write_text(OTHER)
    host.configure(module_dirs=[str(other.parent)])
    as_member(host, **settings)
    assert ("wireguard_modules" in compiled(host)) is is_synced


def test_the_first_state_apply_of_a_minion_without_modules_syncs_them_and_sets_up_the_network(host):
    wanted = registered(host)
    without_packages(host)
    host.configure(module_dirs=[])
    answer = host.salt("state.sls", "wireguard")
    assert [(each["__id__"], each["result"]) for each in answer.values()] == [
        ("wireguard_modules", True),
        ("wireguard_network_backbone", True),
    ], answer
    assert host.device().addresses == set(wanted.addresses)
    host.configure(module_dirs=[str(REPO)])
    host.forget_commands()
    (again,) = host.salt("state.sls", "wireguard").values()
    assert (again["result"], again["changes"]) == (True, {})
    assert host.writing_commands() == []


def test_a_test_run_on_a_minion_without_modules_says_what_would_be_done(host):
    registered(host)
    without_packages(host)
    host.configure(module_dirs=[])
    before = host.picture()
    results = host.salt("state.sls", "wireguard", test=True)
    assert isinstance(results, dict), results
    assert [each["result"] for each in results.values()] == [None, None]
    assert "wg0 would be registered and set up" in str(results)
    assert host.picture() == before


def test_without_modules_and_master_a_test_run_promises_nothing_to_a_minion_that_no_mesh_file_has_the_key_of(host):
    host.set_networks(view(None))
    without_packages(host)
    host.configure(module_dirs=[], master_uri=None)
    *_, network = host.salt("state.sls", "wireguard", test=True).values()
    assert (network["result"], network["changes"]) == (False, {})
    assert "the mesh file has no public_key of it" in network["name"]


def test_a_pillar_with_errors_stops_the_run_before_any_state(host):
    registered(host)
    host.state("present", "backbone")
    before = host.picture()
    (host.pillar_dir / "data.sls").write_text("a: [")
    answer = host.salt("state.sls", "wireguard")
    assert isinstance(answer, list)
    assert "Pillar failed to render" in answer[0]
    assert host.picture() == before
