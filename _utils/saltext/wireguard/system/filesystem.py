"""Which kind of file system a path is on."""

from __future__ import annotations

import os
import re

_MOUNTS = "/proc/self/mountinfo"
_OCTAL = re.compile(r"\\([0-7]{3})")

# Where another machine may write the same file, without the locks and the shared memory of this one.
SHARED = frozenset(
    """
    9p afs beegfs ceph cifs coda gfs2 glusterfs gpfs lustre nfs nfs4 ocfs2 orangefs pvfs2 smb3 smbfs
    fuse.ceph fuse.ceph-fuse fuse.glusterfs fuse.juicefs fuse.lizardfs fuse.mfs fuse.moosefs fuse.rclone fuse.s3fs
    fuse.sshfs fuse.weed
    """.split()  # noqa: SIM905 - for people
)


def kind_of(path: str) -> str:
    """Its type, as mount calls it; of what is not there yet, that of where it would be. Empty where nobody can say."""
    try:
        with open(_MOUNTS, encoding="utf-8", errors="surrogateescape") as handle:
            mounts = [_parsed(line) for line in handle]
    except OSError:
        return ""
    found = ("", "")
    for point, kind in mounts:  # of two at the same place, the later one hides the other
        if _is_below(os.path.realpath(path), point) and len(point) >= len(found[0]):
            found = (point, kind)
    return found[1]


def _parsed(line: str) -> tuple[str, str]:
    """``36 35 98:0 / /mnt rw,noatime master:1 - ext3 /dev/root rw``."""
    before, _, after = line.partition(" - ")
    point = _OCTAL.sub(lambda octal: chr(int(octal[1], 8)), before.split(" ")[4])
    return point, after.split(" ")[0]


def _is_below(path: str, point: str) -> bool:
    return path == point or path.startswith(point.rstrip("/") + "/")
