{%- from 'wireguard/map.jinja' import by_ssh, lookup, version with context %}
{%- set wanted = (pillar.get('wireguard') or {}).get('modules_digest') %}
{%- set own = salt['wireguard.modules']() if not by_ssh and 'wireguard.modules' in salt else {} %}
{%- set current = own and (own['digest'] == wanted if wanted else own['version'] == version) %}
{%- set package = lookup.get('package') if not by_ssh else none %}

# Only where there is something to do with them, and when something is missing or differs from what the master has: a sync
# takes a second or two on every minion, and pip more.
{%- if 'wireguard' in pillar and not current %}
wireguard_modules:
{%-   if package %}
  pip.installed:
    - name: {{ (salt['cp.cache_file'](package) if package.startswith('salt://') else package) | json }}
    {#- Also of the same version. Its one dependency is Salt, which pip must not touch. #}
    - force_reinstall: true
    - no_deps: true
    - reload_modules: true
{%-   elif own and not own['synced'] %}
  test.configurable_test_state:
    - name: {{ own['folder'] | json }}
    - changes: false
    - result: true
    - warnings: >-
        This minion's WireGuard modules, version {{ own['version'] }}, differ from those of its master. Nothing was synced, because
        Python would go on using those in {{ own['folder'] }}. Install there what the master has, or remove it
{%-   else %}
  saltutil.sync_all:
    - refresh: true
    - reload_modules: true
{%-   endif %}
{%- endif %}
