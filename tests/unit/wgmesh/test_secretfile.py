import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
from wgmesh import secretfile
from wgmesh.errors import ConfigError


def file(directory):
    return directory / "preshared.secret"


def test_it_is_made_when_it_is_needed_and_stays(tmp_path):
    made = secretfile.load(str(tmp_path / "state"))
    assert secretfile.load(str(tmp_path / "state")) is made


def test_only_its_owner_may_read_it(tmp_path):
    secretfile.load(str(tmp_path / "state"))
    assert stat.S_IMODE(file(tmp_path / "state").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_all_who_come_first_get_the_same(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(secretfile.load, [str(tmp_path)] * 40))
    assert len({each.text for each in made}) == 1
    assert os.listdir(tmp_path) == ["preshared.secret"]


def test_a_new_one_replaces_it(tmp_path):
    before = secretfile.load(str(tmp_path))
    secretfile.renew(str(tmp_path))
    assert secretfile.load(str(tmp_path)).name != before.name
    assert stat.S_IMODE(file(tmp_path).stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["preshared.secret"]


def test_one_from_a_backup_is_the_same_secret_again(tmp_path):
    before = secretfile.load(str(tmp_path))
    backup = file(tmp_path).read_text()
    secretfile.renew(str(tmp_path))
    file(tmp_path).write_text(backup)
    assert secretfile.load(str(tmp_path)) == before


@pytest.mark.parametrize("content", ["", "short\n"])
def test_a_damaged_file_is_an_error_and_no_new_secret(tmp_path, content):
    file(tmp_path).write_text(content)
    with pytest.raises(ConfigError, match=r"preshared.secret is damaged. Put it back from a backup; or delete it"):
        secretfile.load(str(tmp_path))
    assert file(tmp_path).read_text() == content


def test_one_that_cannot_be_read_is_an_error_and_no_new_secret(tmp_path):
    file(tmp_path).mkdir()
    with pytest.raises(ConfigError, match=r"preshared.secret, which the preshared keys come from, is not usable: "):
        secretfile.load(str(tmp_path))
