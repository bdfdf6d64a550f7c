# A node registered, or reported what it applied. The runner believes only the signed statement in the event, which is
# printable ASCII of a few KB. Nothing else gets as far as YAML: whoever sent it could have put anything there.
{%- macro text(value) %}
{{- (value if value is string and value | length <= 8192 and value | regex_match('([ -~]*)$') else '') | tojson }}
{%- endmacro %}
{%- set said = data.get('data') %}
{%- set signed = said.get('signed') if said is mapping else none %}
{%- set signed = signed if signed is mapping else {} %}
wireguard_hear:
  runner.wireguard.hear:
    - args:
        - tag: {{ text(tag) }}
        - event:
            id: {{ text(data.get('id')) }}
            data:
              signed:
                statement: {{ text(signed.get('statement')) }}
                signature: {{ text(signed.get('signature')) }}
