"""Run on the lab's master host: the contract of ``Bus``, kept by Salt's. Prints the names of what holds."""

import os
import sys

import salt.config

from bus_contract import CONTRACT
from saltext.wireguard.control.salt_bus import SaltBus


def main() -> None:
    opts = salt.config.master_config(os.path.join(os.environ["SALT_CONFIG_DIR"], "master"))
    with SaltBus(opts) as bus:
        for holds in CONTRACT:
            holds(bus, sys.argv[1:-1], sys.argv[-1])
            print(holds.__name__)


if __name__ == "__main__":
    main()
