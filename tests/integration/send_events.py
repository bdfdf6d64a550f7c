"""Send events to the master, as the minion of this lab host, from a JSON list of [tag, data] on standard input."""

import json
import os
import sys

import salt.client
import salt.config


def main() -> None:
    opts = salt.config.minion_config(os.path.join(os.environ["SALT_CONFIG_DIR"], "minion"))
    caller = salt.client.Caller(mopts=opts)
    for tag, data in json.load(sys.stdin):
        # by position, unparsed: what the command line would make of it does not matter here
        function = "event.send" if isinstance(data, dict) else "event.fire_master"
        first, second = (tag, data) if function == "event.send" else (data, tag)
        if not caller.sminion.functions[function](first, second):
            sys.exit(f"{tag} could not be sent")


if __name__ == "__main__":
    main()
