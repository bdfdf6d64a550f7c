# A minion started: it may be new, or may have missed something. Its id is whatever the sender of the event wrote; YAML
# knows no escapes for characters beyond \uffff.
{%- set id = data.get('id') %}
{%- set usable = id is string and id | length <= 253 and id | regex_match('([\\x00-\\ud7ff\\ue000-\\uffff]*)$') %}
wireguard_start:
  runner.wireguard.reconcile:
    - args:
        - contact: [{{ (id if usable else '') | tojson }}]
        - wait: false
