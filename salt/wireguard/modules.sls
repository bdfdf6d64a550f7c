{%- from 'wireguard/map.jinja' import by_ssh, version with context %}

# Only where there is something to do with them, and when something is missing or of another version: a sync takes a
# second or two on every minion.
{%- if 'wireguard' in pillar and (
    by_ssh or 'wireguard.version' not in salt or salt['wireguard.version']() != version) %}
wireguard_modules:
  saltutil.sync_all:
    - refresh: true
    - reload_modules: true
{%- endif %}
