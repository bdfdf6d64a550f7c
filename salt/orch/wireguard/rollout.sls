# Brings what has changed in the mesh file to a canary first, then to the others, and ends at the first step that fails:
#
#     salt-run wireguard.hold     # before the edit: otherwise engine or reactor bring it to all nodes at once
#     salt-run state.orchestrate orch.wireguard.rollout pillar='{wireguard: {rollout: {canary: web1, batch: 10%}}}'
#
# canary: a minion id, a glob, or a list. batch, stop_after: as of `salt-run wireguard.reconcile`. wait: seconds after the
# canary, and again after the others, before the nodes are looked at.
{%- set given = (pillar.get('wireguard') or {}).get('rollout') or {} %}
{%- set canary = given.get('canary') %}
{%- set wait = given.get('wait', 60) %}
{%- if not canary %}
wireguard_no_canary:
  test.fail_without_changes:
    - name: Name a canary in the pillar, as wireguard:rollout:canary
{%- else %}
wireguard_validate:
  salt.runner:
    - name: wireguard.validate

wireguard_plan:
  salt.runner:
    - name: wireguard.plan
    - require:
      - salt: wireguard_validate

wireguard_canary:
  salt.runner:
    - name: wireguard.reconcile
    - canary: {{ canary | json }}
    - batch: 0
    - require:
      - salt: wireguard_plan

wireguard_wait:
  salt.runner:
    - name: test.sleep
    - s_time: {{ wait | json }}
    - require:
      - salt: wireguard_canary

# Does it still answer, and can it read its device?
wireguard_canary_lives:
  salt.function:
    - name: wireguard.drift
    - tgt: {{ (canary if canary is string else canary | join(' or ')) | json }}
    - tgt_type: compound
    - expect_minions: true
    - require:
      - salt: wireguard_wait

wireguard_rest:
  salt.runner:
    - name: wireguard.reconcile
    - batch: {{ given.get('batch', '10%') | json }}
    - stop_after: {{ given.get('stop_after', 1) | json }}
    - require:
      - salt: wireguard_canary_lives

wireguard_wait_again:
  salt.runner:
    - name: test.sleep
    - s_time: {{ wait | json }}
    - require:
      - salt: wireguard_rest

wireguard_report:
  salt.runner:
    - name: wireguard.nodes
    - require:
      - salt: wireguard_wait_again
{%- endif %}
