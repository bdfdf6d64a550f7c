# A minion started: it may be new, or may have missed something.
wireguard_start:
  runner.wireguard.reconcile:
    - args:
        - contact: [{{ data['id'] | json }}]
        - wait: false
