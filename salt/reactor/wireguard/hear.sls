# A node registered, or reported what it applied. The runner believes only the signed statement in the event.
wireguard_hear:
  runner.wireguard.hear:
    - args:
        - tag: {{ tag | json }}
        - event: {{ data | json }}
