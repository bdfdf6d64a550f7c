"""Show every return among recorded events by every outputter, a file for each. Run on the lab's master host."""

import json
import os
import sys
import traceback
from pathlib import Path

import salt.config
import salt.loader


def main() -> None:
    opts = salt.config.master_config(os.path.join(os.environ["SALT_CONFIG_DIR"], "master"))
    events = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
    returns = [data["return"] for tag, data in events if tag.endswith("/ret") or "/ret/" in tag]
    target = Path(sys.argv[2])
    target.mkdir(exist_ok=True)
    for name, show in salt.loader.outputters(opts).items():
        (target / name).write_text("\n".join(shown(show, each) for each in returns))


def shown(show: object, value: object) -> str:
    """As it would be printed; not every outputter can take everything, and how it fails is shown as well."""
    try:
        return str(show({"node": value}))
    except Exception:
        return traceback.format_exc()


if __name__ == "__main__":
    main()
