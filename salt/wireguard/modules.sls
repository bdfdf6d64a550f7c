{%- from 'wireguard/map.jinja' import by_ssh, version with context %}
{%- set wireguard = pillar.get('wireguard') or {} %}
{%- set wanted = wireguard.get('modules_digest') %}
{%- set own = salt['wireguard.modules']() if not by_ssh and 'wireguard.modules' in salt else {} %}

# Only where there is something to do with them, and when something is missing or differs from what the master has: a sync
# takes a second or two on every minion.
{%- if 'wireguard' not in pillar or own and (own['digest'] == wanted if wanted else own['version'] == version) %}
{%- elif own and not own['synced'] %}
wireguard_modules:
  test.configurable_test_state:
    - name: {{ own['folder'] | json }}
    - changes: false
    - result: true
    - warnings: >-
        This minion's WireGuard modules, version {{ own['version'] }}, differ from those of its master. Nothing was synced, because
        Python would go on using those in {{ own['folder'] }}. Install there what the master has, or remove it
{%- else %}
wireguard_modules:
  saltutil.sync_all:
    - refresh: true
    - reload_modules: true
{%- endif %}
