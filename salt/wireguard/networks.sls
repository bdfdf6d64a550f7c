{#- Read from the pillar itself: `pillar.get` of Salt 3008 masks values in some places. -#}
{%- set networks = (pillar.get('wireguard') or {}).get('networks') %}

include:
  - wireguard.packages
  - wireguard.modules

{%- if networks is none %}
wireguard_nothing_to_do:
  test.succeed_without_changes:
    - name: The pillar says nothing about WireGuard for this minion, so nothing was touched
{%- elif opts['test'] and 'wireguard.version' not in salt %}
{#- A test run syncs no modules, so ours are not there to say what they would do. -#}
{%-   for network in networks | sort %}
wireguard_network_{{ network }}:
  test.configurable_test_state:
    - name: {{ network | json }}
    - changes: true
    - comment: >-
        {{ networks[network]['interface'] }} would be registered and set up, once the modules are there
{%-   endfor %}
{%- else %}
{%-   for network in networks | sort %}
wireguard_network_{{ network }}:
  wireguard.present:
    - name: {{ network | json }}
{%-   endfor %}

{#- Networks that this minion was in and is in no more. A minion without the modules has never been in one. -#}
{%-   set gone = salt['wireguard.gone'](networks | list) if 'wireguard.gone' in salt else [] %}
{%-   for interface in gone %}
wireguard_gone_{{ interface }}:
  wireguard.absent:
    - name: {{ interface | json }}
{%-   endfor %}
{%-   if not networks and not gone %}
wireguard_nothing_left:
  test.succeed_without_changes:
    - name: This minion is in no WireGuard network any more, and has nothing left of one
{%-   endif %}
{%- endif %}
