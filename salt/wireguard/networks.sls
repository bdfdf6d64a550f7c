{%- from 'wireguard/map.jinja' import by_ssh with context %}
{#- Read from the pillar itself: `pillar.get` of Salt 3008 masks values in some places. -#}
{%- set wireguard = pillar.get('wireguard') or {} %}
{%- set networks = wireguard.get('networks') %}
{%- set interfaces = wireguard.get('interfaces') or {} %}

include:
  - wireguard.packages
  - wireguard.modules

{%- if networks is none and not interfaces %}
wireguard_nothing_to_do:
  test.succeed_without_changes:
    - name: The pillar says nothing about WireGuard for this minion, so nothing was touched
{%- elif opts['test'] and not by_ssh and 'wireguard.version' not in salt %}
{#- A test run syncs no modules, so ours are not there to say what they would do. -#}
{%-   for network in (networks or {}) | sort %}
{%-     set view = networks[network] %}
wireguard_network_{{ network }}:
{%-     if opts.get('master_uri') or view.get('public_key') %}
  test.configurable_test_state:
    - name: {{ network | json }}
    - changes: true
    - comment: {{ (view['interface'] ~ " would be registered and set up, once the modules are there") | json }}
{%-     else %}
  test.fail_without_changes:
    - name: >-
        This minion runs without a master, and the mesh file has no public_key of it for {{ network }}. To apply this
        makes a key, and says what to write
{%-     endif %}
{%-   endfor %}
{%-   for interface in interfaces | sort %}
wireguard_interface_{{ interface }}:
  test.configurable_test_state:
    - name: {{ interface | json }}
    - changes: true
    - comment: {{ (interface ~ " would be set up, once the modules are there") | json }}
{%-   endfor %}
{%- else %}
{%-   for network in (networks or {}) | sort %}
wireguard_network_{{ network }}:
  wireguard.present:
    - name: {{ network | json }}
{%-   endfor %}

{#- What they have, the state reads from the pillar: nothing secret is in what is rendered, which Salt logs. -#}
{%-   for interface in interfaces | sort %}
wireguard_interface_{{ interface }}:
  wireguard.present:
    - name: {{ interface | json }}
{%-   endfor %}

{#- Networks that this minion was in and is in no more. A minion without the modules has never been in one. -#}
{%-   set kept = (networks or {}) | list %}
{%-   if networks is not none and (by_ssh or 'wireguard.gone' in salt and salt['wireguard.gone'](kept)) %}
wireguard_gone:
  wireguard.gone:
    - networks: {{ kept | json }}
{%-   elif not networks and not interfaces %}
wireguard_nothing_left:
  test.succeed_without_changes:
    - name: This minion is in no WireGuard network any more, and has nothing left of one
{%-   endif %}
{%- endif %}
