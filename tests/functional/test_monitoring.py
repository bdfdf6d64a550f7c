"""What nodes write goes through Debian's node_exporter into Debian's Prometheus, and its alerts fire."""

import json
import os
import re
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("salt")

from hosts import key, peer, registered, wait_until

REPO = Path(__file__).resolve().parents[2]
EXAMPLES = REPO / "examples/monitoring"


@pytest.fixture(scope="module")
def programs():
    """The folder with Prometheus's programs."""
    done = subprocess.run([REPO / ".ci/prometheus"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"Debian's packages of Prometheus cannot be had here: {done.stderr.strip().splitlines()[-1:]}")
    return Path(done.stdout.strip())


def promtool(programs, *args):
    done = subprocess.run([programs / "promtool", *args], cwd=EXAMPLES, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_alerts_fire_when_they_should_and_only_then(programs):
    promtool(programs, "check", "rules", "wireguard.rules.yaml")
    promtool(programs, "test", "rules", "wireguard.rules_test.yaml")


def test_prometheus_reads_every_query_of_the_dashboard(programs, tmp_path):
    panels = json.loads((EXAMPLES / "wireguard-dashboard.json").read_text())["panels"]
    queries = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    rules = [{"record": f"query{number}", "expr": query} for number, query in enumerate(queries)]
    (tmp_path / "rules.json").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool(programs, "check", "rules", str(tmp_path / "rules.json"))


CONFIGURATION = """
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [rules.yaml]
scrape_configs:
  - job_name: node
    static_configs: [{targets: ["127.0.0.1:9100"]}]
"""


class Prometheus:
    """node_exporter and Prometheus at work on a host, which end with its namespaces."""

    def __init__(self, host, programs):
        host.run("ip", "link", "set", "dev", "lo", "up")
        self.textfiles = host.disk / "textfiles"
        self.textfiles.mkdir()
        self._folder = host.disk / "prometheus"
        self._folder.mkdir()
        (self._folder / "prometheus.yml").write_text(CONFIGURATION)
        # Nobody waits for minutes here.
        rules = re.sub(r"for: \w+", "for: 0s", (EXAMPLES / "wireguard.rules.yaml").read_text())
        (self._folder / "rules.yaml").write_text(rules)
        self._start(
            programs / "prometheus-node-exporter",
            "--collector.disable-defaults",
            "--collector.textfile",
            f"--collector.textfile.directory={self.textfiles}",
            "--web.listen-address=127.0.0.1:9100",
        )
        self._start(
            programs / "prometheus",
            f"--config.file={self._folder}/prometheus.yml",
            f"--storage.tsdb.path={self._folder}/data",
            "--web.listen-address=127.0.0.1:9090",
        )

    def _start(self, *argv):
        with (self._folder / "log").open("ab") as log:
            subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def query(self, text):
        """[(labels, value)]; nothing while Prometheus is not there yet."""
        url = f"http://127.0.0.1:9090/api/v1/query?{urllib.parse.urlencode({'query': text})}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                found = json.load(answer)["data"]["result"]
        except OSError:
            return []
        return [(each["metric"], float(each["value"][1])) for each in found]

    def wait_for(self, text):
        found = []
        wait_until(lambda: found.extend(self.query(text)) or found, 60)
        return found


def test_a_real_prometheus_has_what_the_node_wrote_and_alerts_when_the_device_is_gone(host, programs):
    hostile = peer('db "1" \\ {x}', "10.42.0.9/32")
    registered(host, hostile, peer("node2", "10.42.0.2/32", endpoint="127.0.0.1:4444", keepalive=25))
    host.call("apply")
    prometheus = Prometheus(host, programs)
    path = str(prometheus.textfiles / "wireguard.prom")
    assert host.call("metrics", file=path) == path
    assert os.stat(path).st_mode & 0o777 == 0o644
    found = prometheus.wait_for("wireguard_peer_up")
    assert {labels["friendly_name"]: value for labels, value in found} == {hostile.name: 0, "node2": 0}
    assert {labels["public_key"] for labels, _ in found} == {hostile.public_key, key("node2")}
    assert [value for _, value in prometheus.wait_for("node_textfile_scrape_error")] == [0]
    ((labels, value),) = prometheus.wait_for("wireguard_mesh_interface_up")
    assert (labels["interface"], labels["network"], value) == ("wg0", "backbone", 1)
    host.delete_device()
    host.call("metrics", file=path)
    ((labels, _),) = prometheus.wait_for('ALERTS{alertname="WireGuardInterfaceDown",alertstate="firing"}')
    assert labels["interface"] == "wg0"
