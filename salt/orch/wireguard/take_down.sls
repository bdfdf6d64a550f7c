# Takes nodes down for good, or the whole mesh. Take the nodes out of the mesh file first, or write `nodes: {}` there:
#
#     salt-run state.orchestrate orch.wireguard.take_down pillar='{wireguard: {take_down: {nodes: [web7]}}}'
#     salt-run state.orchestrate orch.wireguard.take_down pillar='{wireguard: {take_down: {all: true, reason: moved}}}'
#
# purge: true also removes the nodes' keys. It ends at the first step that fails, such as a peer that has not confirmed yet.
{%- set given = (pillar.get('wireguard') or {}).get('take_down') or {} %}
{%- set nodes = given.get('nodes') or [] %}
{%- set everybody = given.get('all', false) is true %}
{%- if nodes is string or (nodes | length > 0) == everybody or (everybody and not given.get('reason')) %}
wireguard_take_down_whom:
  test.fail_without_changes:
    - name: 'Write into the pillar either nodes, a list, or all: true and a reason'
{%- else %}
wireguard_validate:
  salt.runner:
    - name: wireguard.validate

{%-   if everybody %}
wireguard_dropped:
  salt.runner:
    - name: wireguard.reconcile
    - force: true
    - reason: {{ given['reason'] | json }}
    - require:
      - salt: wireguard_validate
{%-   endif %}
{%-   for node in nodes %}
wireguard_dropped_{{ loop.index }}:
  salt.runner:
    - name: wireguard.dropped
    - node: {{ node | json }}
    - require:
      - salt: wireguard_validate
{%-   endfor %}

wireguard_clean:
  salt.state:
    - tgt: {{ ('*' if everybody else nodes) | json }}
    - tgt_type: {{ 'glob' if everybody else 'list' }}
    - sls: wireguard.clean
    - pillar:
        wireguard:
          clean:
            purge: {{ given.get('purge', false) | json }}
    - expect_minions: true
    - require:
{%-   for number in range(1, 1 + nodes | length) %}
      - salt: wireguard_dropped_{{ number }}
{%-   else %}
      - salt: wireguard_dropped
{%-   endfor %}

wireguard_report:
  salt.runner:
    - name: wireguard.nodes
    - require:
      - salt: wireguard_clean
{%- endif %}
