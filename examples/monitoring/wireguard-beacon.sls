# A pillar for the nodes, whose minions then tell the master what changes on their interfaces by itself.
# Name it in the pillar's top file.
beacons:
  wireguard:
    - interval: 10
    - disable_during_state_run: true
