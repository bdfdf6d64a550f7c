"""Which kind of file system a path is on."""

import pytest

from saltext.wireguard.system import filesystem

MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:5 / /proc rw - proc proc rw
30 22 0:40 / /srv/shared rw shared:9 - nfs4 nas:/export rw,vers=4.2
31 22 0:41 / /srv/with\\040space rw - fuse.glusterfs gluster:/vol rw
32 30 8:2 / /srv/shared/local rw - xfs /dev/sdb1 rw
33 22 0:42 / /over rw - ext4 /dev/sdc1 rw
34 22 0:43 / /over rw - cifs //nas/share rw
"""


@pytest.fixture
def mounts(tmp_path, monkeypatch):
    path = tmp_path / "mountinfo"
    path.write_text(MOUNTS)
    monkeypatch.setattr(filesystem, "_MOUNTS", str(path))


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/cache/salt", "ext4"),
        ("/srv/shared", "nfs4"),
        ("/srv/shared/wireguard/registry.db", "nfs4"),
        ("/srv/shared-no", "ext4"),
        ("/srv/shared/local/registry.db", "xfs"),
        ("/srv/with space/registry.db", "fuse.glusterfs"),
        ("/over/registry.db", "cifs"),
    ],
)
def test_the_deepest_mount_counts_and_of_two_the_later_one(mounts, path, kind):
    assert filesystem.kind_of(path) == kind


def test_where_nobody_can_say_it_is_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(filesystem, "_MOUNTS", str(tmp_path / "none"))
    assert filesystem.kind_of("/") == ""


def test_the_kernel_says_so_of_this_machine():
    assert filesystem.kind_of("/proc/self") == "proc"


def test_a_link_is_where_it_leads(tmp_path):
    (tmp_path / "link").symlink_to("/proc")
    assert filesystem.kind_of(str(tmp_path / "link" / "self")) == "proc"
