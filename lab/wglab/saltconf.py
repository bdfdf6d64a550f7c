"""The configuration of the lab's Salt daemons.

The master's WireGuard part is not written here: the lab installs the repository's own examples, with only their paths
replaced, so that what users copy is what the lab tries. Values are written as JSON, which is YAML.
"""

import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from .host import Host
from .report import LabError

CHECKOUT = Path(__file__).resolve().parents[2]
EXAMPLES = CHECKOUT / "examples"
EXAMPLE_MESH_PATH = "/srv/wireguard/mesh.yml"
EXAMPLE_CHECKOUT_PATH = "/srv/saltext-wireguard"
EXAMPLE_FILE_ROOT = re.compile(r"/srv/salt\b")
SYNCED = ("beacons", "engines", "modules", "output", "states", "utils")
TRIGGERS = ("reactor", "engine", "none")
DEFAULT_MESH = """\
networks:
  backbone:
    subnets: [10.42.0.0/16, "fd42:42::/64"]
    nodes:
      '*': {}
"""


def find_salt_bin() -> Path:
    """Return the directory of the Salt commands to use."""
    wanted = os.environ.get("WGLAB_SALT_BIN")
    if wanted:
        if not (Path(wanted) / "salt-minion").exists():
            raise LabError(f"WGLAB_SALT_BIN={wanted} has no salt-minion in it; point it at the bin directory of a venv")
        return Path(wanted).absolute()
    in_path = shutil.which("salt-minion")
    places = [Path(sys.executable).parent, CHECKOUT / ".venv" / "bin", *([Path(in_path).parent] if in_path else [])]
    for place in places:
        if (place / "salt-minion").exists():
            return place.absolute()
    raise LabError("found no Salt; run the lab with the Python of a venv that has it, or set WGLAB_SALT_BIN to its bin")


def write_master(host: Host, trigger: str) -> list[str]:
    """Write the master's configuration; return the example files that should be in it and do not exist."""
    fragments, missing = _fragments(host.root, trigger)
    master_d = host.conf_dir / "master.d"
    master_d.mkdir(exist_ok=True)
    for name, text in fragments.items():
        (master_d / name).write_text(text)
    _write(host.conf_dir / "master", _master_options(host) | _code_options(host.root, "\n".join(fragments.values())))
    return missing


def write_minion(host: Host, master: Host) -> None:
    """Write a minion's configuration: quick to come back after anything, and out of reach of the real machine."""
    options = {
        "id": host.minion_id,
        "master": master.address4,
        "user": "root",
        "acceptance_wait_time": 1,
        "acceptance_wait_time_max": 0,
        "random_reauth_delay": 1,
        "recon_default": 100,
        "recon_max": 1000,
        "recon_randomize": False,
        "auth_timeout": 5,
        "auth_tries": 10,
        "tcp_keepalive_idle": 2,
        "tcp_keepalive_intvl": 1,
        "tcp_keepalive_cnt": 2,
        "enable_fqdns_grains": False,
        "enable_gpu_grains": False,
        "wireguard": {"install_packages": False, "enable_service": False},
    }
    _write(host.conf_dir / "minion", options | _places(host, "minion"))


def sync_modules(host: Host) -> None:
    """Put our modules where ``saltutil.sync_all`` would, which costs each minion several seconds of a processor."""
    for kind in SYNCED:
        shutil.copytree(CHECKOUT / f"_{kind}", host.disk / "var/cache/salt/minion/extmods" / kind)


def _places(host: Host, role: str) -> dict[str, Any]:
    """Keep everything on the host's disk but the sockets, whose paths must be short and end with the power."""
    return {
        "root_dir": str(host.disk),
        "pki_dir": str(host.conf_dir / "pki" / role),
        "cachedir": str(host.disk / "var/cache/salt" / role),
        "log_file": str(host.disk / "var/log/salt" / role),
        "sock_dir": f"/run/salt/{role}",
        "pidfile": f"/run/salt-{role}.pid",
        "log_level": "warning",
        "log_level_logfile": "debug",
    }


def _master_options(host: Host) -> dict[str, Any]:
    return _places(host, "master") | {
        "interface": host.address4,
        "user": "root",
        "worker_threads": 3,
        "timeout": 10,
        "gather_job_timeout": 5,
        "tcp_keepalive_idle": 2,
        "tcp_keepalive_intvl": 1,
        "tcp_keepalive_cnt": 2,
    }


def _code_options(root: Path, fragments: str) -> dict[str, Any]:
    """Return where Salt finds this checkout, unless the examples say so themselves: then theirs is what gets tried."""
    clone = _clone(root)
    options = {
        "module_dirs": [str(clone)],
        "file_roots": {"base": [str(file_root(root)), str(clone), str(clone / "salt")]},
    }
    return {key: value for key, value in options.items() if not re.search(rf"^{key}:", fragments, re.MULTILINE)}


def _clone(root: Path) -> Path:
    """
    Return the checkout as a clone of it would be, made of links. Salt walks through all of its file roots whenever it
    compiles a pillar, and the virtual environments of whoever works on this have tens of thousands of files.
    """
    clone = root / "checkout"
    clone.mkdir(exist_ok=True)
    for path in CHECKOUT.glob("[!.]*"):
        link = clone / path.name
        if not link.is_symlink():
            link.symlink_to(path)
    return clone


def mesh_file(root: Path) -> Path:
    """Return the mesh file of the lab with this state directory."""
    return root / "mesh.yml"


def file_root(root: Path) -> Path:
    """Return where the lab's own SLS files go: a top file, say."""
    return root / "srv"


def _fragments(root: Path, trigger: str) -> tuple[dict[str, str], list[str]]:
    """Return the examples by file name, with the lab's paths in them, and the names of those that do not exist."""
    wanted = ["wireguard.conf"] + ([] if trigger == "none" else [f"wireguard-{trigger}.conf"])
    fragments, missing = {}, []
    for name in wanted:
        source = EXAMPLES / "master.d" / name
        if not source.exists():
            missing.append(str(source))
        text = source.read_text() if source.exists() else ""
        text = text.replace(EXAMPLE_MESH_PATH, str(mesh_file(root))).replace(EXAMPLE_CHECKOUT_PATH, str(_clone(root)))
        fragments[name] = EXAMPLE_FILE_ROOT.sub(str(file_root(root)), text)
    return fragments, missing


def mesh_text(wanted: Path | None) -> str:
    """Return the mesh to begin with: the file asked for, else the repository's example, else a full mesh."""
    source = wanted or EXAMPLES / "full-mesh.yml"
    if wanted is None and not source.exists():
        return DEFAULT_MESH
    try:
        return source.read_text()
    except OSError as error:
        raise LabError(f"cannot read the mesh file {source}: {error.strerror}") from error


def _write(path: Path, options: dict[str, Any]) -> None:
    path.write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in options.items()))
