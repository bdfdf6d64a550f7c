{%- from 'wireguard/map.jinja' import by_ssh with context %}
{#- Read from the pillar itself: `pillar.get` of Salt 3008 masks values in some places. -#}
{%- set wireguard = pillar.get('wireguard') or {} %}
{%- set networks = wireguard.get('networks') %}
{%- set interfaces = {} %}
{%- set theirs = [] %}
{#- Those of another formula are not ours. -#}
{%- for interface, described in (wireguard.get('interfaces') or {}).items() %}
{%-   set names = ['Interface', 'Peers', 'listen_port', 'private_key', 'preshared_key', 'fwmark'] %}
{%-   if described is mapping and (names | intersect(described | list) or described.get('peers') is sequence and
      described.get('peers') is not mapping) %}
{%-     do theirs.append(interface) %}
{%-   else %}
{%-     do interfaces.update({interface: described}) %}
{%-   endif %}
{%- endfor %}

include:
  - wireguard.packages
  - wireguard.modules

{%- if theirs %}
wireguard_of_another_formula:
  test.configurable_test_state:
    - name: {{ theirs | sort | join(', ') | json }}
    - changes: false
    - result: true
    - warnings: >-
        `wireguard:interfaces` in the pillar of this minion is that of another formula, so these interfaces were left alone. To
        take them over, run `salt-run wireguard.adopt` on the master, and take the formula's pillar away afterwards
{%- endif %}

{%- if networks is none and not interfaces and not theirs %}
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
