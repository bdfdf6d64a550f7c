# /srv/pillar/wireguard-cloud.sls: the interface of `cloud`.
wireguard:
  interfaces:
    wg1:
      addresses: [10.9.0.2/24]
      port: 51821
      peers:
        office:
          public_key: bKEaZsQvEI1sLm2s/MXW+j8D3hP9W+BHV4BoGGUt53k=   # from `salt office wireguard.keypair wg1`
          allowed_ips: [10.9.0.1/32]
