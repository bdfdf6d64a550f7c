"""Call functions of minions and runners, from a JSON list of [target or None, function, [argument]] on standard input.

In one process, as a command line for each takes seconds. Run on the lab's master host; prints a list of answers.
"""

import json
import os
import sys

import salt.client
import salt.config
import salt.runner


def main() -> None:
    opts = salt.config.master_config(os.path.join(os.environ["SALT_CONFIG_DIR"], "master"))
    runner = salt.runner.RunnerClient({**opts, "quiet": True})
    with salt.client.LocalClient(mopts=opts) as client:
        answers = [
            runner.cmd(function, arguments, print_event=False, full_return=True)
            if target is None
            else client.cmd(target, function, arguments, timeout=60, full_return=True)
            for target, function, arguments in json.load(sys.stdin)
        ]
    print(json.dumps(answers, default=repr))


if __name__ == "__main__":
    main()
