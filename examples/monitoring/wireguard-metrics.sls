# A pillar for the nodes, whose minions then write metrics once a minute where node_exporter reads them (Debian's place).
# Name it in the pillar's top file. The folder must be there.
schedule:
  wireguard_metrics:
    function: wireguard.metrics
    kwargs:
      file: /var/lib/prometheus/node-exporter/wireguard.prom
      peers: 1000
    seconds: 60
    splay: 10
    maxrunning: 1
    return_job: false
