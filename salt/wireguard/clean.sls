# Takes everything off a minion that these states brought: interfaces, what brings them up at boot, packages. Take the
# minion out of the mesh file first. Keys are kept unless the pillar says `wireguard: {clean: {purge: true}}`. The modules
# stay for as long as the master serves them.
{%- from 'wireguard/map.jinja' import by_ssh, packages with context %}
{%- set wireguard = pillar.get('wireguard') or {} %}
{%- set options = wireguard.get('clean') or {} %}

{%- if not by_ssh and 'wireguard.clean' not in salt %}
wireguard_nothing_to_clean:
  test.succeed_without_changes:
    - name: The modules are not on this minion, so it has nothing of a WireGuard network
{%- else %}
wireguard_cleaned:
  wireguard.cleaned:
    - purge: {{ options.get('purge', false) | json }}
    - force: {{ options.get('force', false) | json }}
    - reason: {{ options.get('reason') | json }}

{#- Not iproute2, which most machines cannot do without. By salt-ssh, nobody knows yet who else needs the rest. #}
{%-   set others = [] if by_ssh else salt['wireguard.unmanaged']() %}
{%-   if by_ssh or others or not salt['config.get']('wireguard:install_packages', True) %}
wireguard_packages_stay:
  test.succeed_without_changes:
    - name: >-
        Packages stay{{ ', as these interfaces are not ours: ' ~ others | join(', ') if others else '' }}
{%-   else %}
wireguard_packages_removed:
  pkg.removed:
    - pkgs: {{ (packages or []) | reject('match', 'iproute') | list | json }}
    - require:
      - wireguard: wireguard_cleaned
{%-   endif %}
{%- endif %}
