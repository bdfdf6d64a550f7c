{%- from 'wireguard/map.jinja' import packages with context %}

# Only where there is an interface to set up. Skipped with `wireguard: {install_packages: false}` in the minion's configuration or
# pillar, for machines whose packages come from an image or another state.
{%- set wireguard = pillar.get('wireguard') or {} %}
{%- if (wireguard.get('networks') or wireguard.get('interfaces')) and salt['config.get']('wireguard:install_packages', True) %}
{%-   if packages %}
wireguard_packages:
  pkg.installed:
    - pkgs: {{ packages | json }}
{%-   else %}
wireguard_packages:
  test.fail_without_changes:
    - name: >-
        No package names are known for the os_family {{ grains['os_family'] }}. Install wg, wg-quick and iproute2 by
        other means and set `wireguard: {install_packages: false}` in the minion's configuration
{%-   endif %}
{%- endif %}
