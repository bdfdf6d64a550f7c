# A minion key was accepted, rejected or deleted, so the members of the networks may have changed.
wireguard_key:
  runner.wireguard.reconcile:
    - args:
        - contact: []
        - wait: false
