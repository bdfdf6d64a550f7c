# /srv/pillar/top.sls: a tunnel between two minions, without a mesh file.
base:
  office: [wireguard-office]
  cloud: [wireguard-cloud]
