"""The text of metrics, read by Prometheus's own parser."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from saltext.wireguard.formats.prometheus import Metric, Sample, render


def parsed(text):
    """name -> (kind, help, [(labels, value)])."""
    return {
        family.name: (family.type, family.documentation, [(each.labels, each.value) for each in family.samples])
        for family in text_string_to_metric_families(text)
    }


def test_a_metric_is_what_was_said_of_it():
    text = render([Metric("wg_peers", "gauge", "Peers.", [Sample(3, {"state": "up"}), Sample(0.5, {"state": "idle"})])])
    assert parsed(text) == {"wg_peers": ("gauge", "Peers.", [({"state": "up"}, 3.0), ({"state": "idle"}, 0.5)])}


def test_a_summary_is_a_sum_and_a_count():
    samples = [Sample(1.5, suffix="_sum"), Sample(2, suffix="_count")]
    (family,) = text_string_to_metric_families(render([Metric("wg_seconds", "summary", "Times.", samples)]))
    assert family.type == "summary"
    assert [(each.name, each.value) for each in family.samples] == [("wg_seconds_sum", 1.5), ("wg_seconds_count", 2)]


def test_a_metric_without_samples_is_left_out():
    assert render([Metric("wg_peers", "gauge", "Peers.", [])]) == ""


def test_large_counts_keep_all_their_digits():
    text = render([Metric("sent_total", "counter", "", [Sample(2**53 - 1), Sample(2**64)])])
    assert [line.split()[-1] for line in text.splitlines()[2:]] == ["9007199254740991", "18446744073709551616"]


@given(name=st.text(), explanation=st.text(alphabet=st.characters(exclude_characters="\r", exclude_categories=["Cs"])))
def test_no_name_and_no_help_gets_out_of_its_place(name, explanation):
    """Ids of minions and names of peers may be anybody's."""
    text = render([Metric("wg", "gauge", explanation, [Sample(1, {"name": name}), Sample(2, {"name": "other"})])])
    text.encode()
    assert text.count("\n") == 4
    ((_, _, samples),) = parsed(text).values()
    assert [value for _, value in samples] == [1.0, 2.0]
    assert samples[0][0]["name"] == name.encode(errors="replace").decode()
