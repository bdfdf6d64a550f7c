"""Write every event of the master's bus into a file, one JSON line each. Run on the lab's master host."""

import json
import os
import sys

import salt.config
import salt.utils.event


def main() -> None:
    opts = salt.config.master_config(os.path.join(os.environ["SALT_CONFIG_DIR"], "master"))
    with salt.utils.event.get_event("master", opts=opts, listen=True) as bus, open(sys.argv[1], "a") as out:
        bus.connect_pub(timeout=30)
        print("listening", flush=True)
        while True:
            event = bus.get_event(wait=1, full=True, auto_reconnect=True)
            if event:
                print(json.dumps([event["tag"], event["data"]], default=repr), file=out, flush=True)


if __name__ == "__main__":
    main()
