"""
Tells the master what changes on this minion's WireGuard interfaces by itself: few events, each after it has lasted.

Minion configuration, or pillar::

    beacons:
      wireguard:
        - interval: 10                      # seconds between two looks
        - disable_during_state_run: True    # a state that changes interfaces is no news

Events have the tag ``salt/beacon/<minion>/wireguard/<what>``; docs/events.md lists them. The engine takes those of
them as hints that a sync would mend.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # Salt's loader puts this here. It puts the library on no path for a beacon, so nothing of it is imported.
    __salt__: dict[str, Any] = {}

__virtualname__ = "wireguard"

# Ours, with the least and the most that they can be; and Salt's, which it takes care of.
_LIMITS = {"looks": (1, 100), "at_most": (1, 1000), "drift": (0, 86400)}
_OF_SALT = {"_beacon_name", "beacon_module", "disable_during_state_run", "enabled", "interval", "run_once"}


def __virtual__():
    return __virtualname__


def validate(config):
    """
    Whether the configuration makes sense: (True or False, text).

    config
        A list of mappings, as Salt has it.
    """
    if not isinstance(config, list) or not all(isinstance(each, dict) for each in config):
        return False, "The configuration of the beacon wireguard must be a list of mappings"
    settings = _merged(config)
    if "interval" not in settings:
        return False, "The beacon wireguard needs an interval in seconds, such as 10; otherwise it looks every second"
    for name, value in settings.items():
        if name in _LIMITS:
            low, high = _LIMITS[name]
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                return False, f"{name} of the beacon wireguard must be a whole number from {low} to {high}"
        elif name not in _OF_SALT:
            return False, f"The beacon wireguard has no setting {name!r}; it has {', '.join(sorted(_LIMITS))}"
    return True, "Valid configuration of the beacon wireguard"


def beacon(config):
    """
    What has changed since the last look, as events. Besides ``interval``, all settings are optional.

    looks
        At so many looks in a row, something must be so before it is told. 3 by default, so 30 seconds.

    at_most
        So many events an hour, and at once. What is beyond is counted, and the next event says how many. 60 by default.

    drift
        Every so many seconds, what others changed on the interfaces is looked for, which runs a dozen commands. 600 by
        default; 0: never.
    """
    if "wireguard.watch" not in __salt__:
        return []
    settings = {name: value for name, value in _merged(config).items() if name in _LIMITS}
    return __salt__["wireguard.watch"](**settings)


def _merged(config):
    return {name: value for each in config for name, value in each.items()}
