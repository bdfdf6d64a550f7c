# /srv/pillar/wireguard-office.sls: the interface of `office`. It is behind NAT, so it connects to `cloud` and keeps its NAT open.
wireguard:
  interfaces:
    wg1:
      addresses: [10.9.0.1/24]
      peers:
        cloud:
          public_key: DKjrwRCFjr0q5JluvQZ/DEDd+NHg8wVzUWsNirL1AWw=   # from `salt cloud wireguard.keypair wg1`
          allowed_ips: [10.9.0.2/32]
          endpoint: cloud.example.com:51821
          keepalive: 25
