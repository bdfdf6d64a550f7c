"""Texts, numbers, switches and times that are not what they must be."""

import pytest

from meshing import TINY, network, problems


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (TINY.replace("backbone", "'a b'"), "mesh.yml:2: 'a b' is not a network's name; write 1 to 64 of the"),
        (
            TINY.replace("backbone", "007"),
            "mesh.yml:2: a network's name must be text, but YAML reads '007' as a number",
        ),
        (TINY.replace("backbone", "'..'"), "mesh.yml:2: '..' is not a network's name"),
        (TINY.replace("backbone", "-x"), "mesh.yml:2: '-x' is not a network's name"),
        (
            network("interface: on"),
            "mesh.yml:3: interface must be text, but YAML reads 'on' as true or false; quote it",
        ),
        (network("port: '51820'"), "mesh.yml:3: port must be a number, not text; remove the quotes: `port: 51820`"),
        (network("port: true"), "mesh.yml:3: port must be a whole number from 1 to 65535, not 'true'"),
        (network("port: 0"), "mesh.yml:3: port must be a whole number from 1 to 65535, not '0'"),
        (network("port: 65536"), "not '65536'"),
        (network("port: 5e3"), "not '5e3'"),
        (network("port: 1:20"), "not '1:20'"),
        (network("port: 0x50"), "not '0x50'"),
        (network("port: 010"), "not '010'"),
        (network("port: -1"), "not '-1'"),
        (network("port: .nan"), "not '.nan'"),
        (network("port: [1]"), "not a list"),
        (network("port: "), "not ''"),
        (network("port: " + "9" * 10_000), "not '999"),
        (network("keepalive: 65536"), "mesh.yml:3: keepalive must be a whole number from 0 to 65535, not '65536'"),
        (network("keepalive: on"), "keepalive must be a whole number from 0 to 65535, not 'on'"),
        (network("mtu: 1279"), "mesh.yml:3: mtu must be a whole number from 1280 to 65535, not '1279'"),
        (network("mtu: 575\nsubnets: [10.42.0.0/16]"), "mtu must be a whole number from 576 to 65535, not '575'"),
        (network("admit: on"), "mesh.yml:3: admit must be auto or manual, not 'on'"),
        (network("admit: Manual"), "mesh.yml:3: admit must be auto or manual, not 'Manual'"),
        (network("admit:"), "mesh.yml:3: admit must be auto or manual, not ''"),
        (network("rekey: [auto]"), "mesh.yml:3: rekey must be auto or manual, not a list"),
        (network("rotate_every: 30"), "mesh.yml:3: '30' is not a duration: it has no unit; write 30s, 30m, 30h, 30d"),
        (network("rotate_every: never"), "mesh.yml:3: 'never' is not a duration: write a whole number and a unit (s,"),
        (network("rotate_every: 1:20"), "mesh.yml:3: '1:20' is not a duration"),
        (network("rotate_every:"), "mesh.yml:3: '' is not a duration"),
        (network("rotate_every: 0d"), "mesh.yml:3: '0d' is not a duration: it must be at least 1s"),
        (network("rotate_every: 59m"), "mesh.yml:3: rotate_every must be at least 1h, not '59m'"),
        (network("rotate_every: 3599s"), "mesh.yml:3: rotate_every must be at least 1h, not '3599s'"),
        (network("rotate_every: 9999w"), "mesh.yml:3: '9999w' is not a duration: it must be at most 36500d"),
        (network("rotate_every: [30d]"), "mesh.yml:3: rotate_every must be a duration, such as 30d, not a list"),
        (network("subnets: [10.42]"), "a subnet must be text, but YAML reads '10.42' as a number; quote it"),
        (network("subnets: [[10.42.0.0/16]]"), "a subnet must be text, not a list"),
        (network(nodes="a: {groups: [w/b]}"), "mesh.yml:4: 'w/b' is not a group's name; write 1 to 64 of"),
        (network(nodes="a: {site: [ams]}"), "mesh.yml:4: a site's name must be text, not a list"),
        (network(nodes="a: {endpoints: {a/s: x}}"), "mesh.yml:4: 'a/s' is not a site's name; write 1 to 64 of"),
        (network("links: [['*', [a]]]"), "mesh.yml:3: an end of a link must be text, not a list"),
        (network("preshared_keys: 1"), "mesh.yml:3: preshared_keys must be true or false, not '1'"),
        (network(nodes="a: {hub: 1}"), "mesh.yml:4: hub must be true or false, not '1'"),
        (network(nodes="a: {hub: 'true'}"), "mesh.yml:4: hub must be true or false, not 'true'"),
        (network(nodes="a: {priority: -1}"), "mesh.yml:4: priority must be a whole number from 0 to 65535, not '-1'"),
        (network(nodes="12: {}"), "a minion id must be text, but YAML reads '12' as a number; quote it"),
        (network(nodes="2026-01-01: {}"), "a minion id must be text, but YAML reads '2026-01-01' as a date; quote it"),
        (network(nodes="a: {endpoints: {ams: [192.0.2.1]}}"), "mesh.yml:4: endpoint must be text, not a list"),
        (network(nodes="a: {endpoint: 51820}"), "endpoint must be text, but YAML reads '51820' as a number"),
        *(
            (
                network(nodes=f"a: {{expires: {value}}}"),
                "mesh.yml:4: expires must be a date or a time, such as 2027-01-01 or 2027-01-01T18:00:00Z, not "
                + found,
            )
            for value, found in [
                *(("", "''"), ("never", "'never'"), ("false", "'false'"), ("20270101", "'20270101'")),
                *(("1798761600", "'1798761600'"), ("01.01.2027", "'01.01.2027'"), ("2027-1-1", "'2027-1-1'")),
                *(("2027-01", "'2027-01'"), ("2027-01-01T18Z", "'2027-01-01T18Z'"), ("30d", "'30d'")),
                *(("2027-01-01Z", "'2027-01-01Z'"), ("'2027-01-01T18:00:00 CET'", "'2027-01-01T18:00:00 CET'")),
                *(("'2027-01-01T18:00+24:00'", "'2027-01-01T18:00+24:00'"), ("'2027-01-01 '", "'2027-01-01 '")),
                *(("2027-01-01 18:00:00 +2", "'2027-01-01 18:00:00 +2'"), ("'\uff12027-01-01'", "'\uff12")),
                *(("[2027-01-01]", "a list"), ("{}", "a mapping")),
            ]
        ),
        *(
            (network(nodes=f"a: {{expires: {value}}}"), f"there is no time '{value}'; expires must be a date or a time")
            for value in (
                *("2027-02-29", "2027-13-01", "2027-00-10", "0000-01-01", "2027-01-01T24:01:00Z"),
                *("2027-01-01T18:60:00Z", "2027-01-01T18:00:60Z"),
                *("0001-01-01T00:00:00+01:00", "9999-12-31T23:00:00-01:00"),
            )
        ),
        (network("quarantine: 59m"), "mesh.yml:3: quarantine must be at least 1h, not '59m'"),
        (network("quarantine: 7"), "mesh.yml:3: '7' is not a duration: it has no unit; write 7s"),
        (network(nodes="a: {via: true}"), "mesh.yml:4: via must be text, but YAML reads 'true' as"),
        (network(nodes="a: {exit: gw1}"), "mesh.yml:4: exit must be true or false, not 'gw1'"),
        (network(nodes="a: {mtu: 1000}"), "mesh.yml:4: mtu must be a whole number from 1280 to 65535, not '1000'"),
        (network(peers="'a b': {}"), "mesh.yml:5: 'a b' is not a peer's name"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_what_would_be_right(text, problem):
    assert [line for line in problems(text) if problem in line]
