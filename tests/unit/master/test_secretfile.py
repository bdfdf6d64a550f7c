import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from saltext.wireguard.errors import ConfigError
from saltext.wireguard.master.secretfile import PREVIOUS, load_secret, renew_secret


def file(directory):
    return directory / "preshared.secret"


def test_it_is_made_when_it_is_needed_and_stays(tmp_path):
    made = load_secret(str(tmp_path / "state"))
    assert load_secret(str(tmp_path / "state")) is made


def test_only_its_owner_may_read_it(tmp_path):
    load_secret(str(tmp_path / "state"))
    assert stat.S_IMODE(file(tmp_path / "state").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_all_who_come_first_get_the_same(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(load_secret, [str(tmp_path)] * 40))
    assert len({each.text for each in made}) == 1
    assert os.listdir(tmp_path) == ["preshared.secret"]


def test_a_new_one_replaces_it_and_the_last_one_is_kept(tmp_path):
    renew_secret(str(tmp_path))
    before = load_secret(str(tmp_path))
    renew_secret(str(tmp_path))
    assert load_secret(str(tmp_path)).name != before.name
    assert sorted(os.listdir(tmp_path)) == ["preshared.secret", "preshared.secret.previous"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}
    (tmp_path / PREVIOUS).replace(file(tmp_path))
    assert load_secret(str(tmp_path)) == before


@pytest.mark.parametrize("content", ["", "short\n"])
def test_a_damaged_file_is_an_error_and_no_new_secret(tmp_path, content):
    file(tmp_path).write_text(content)
    with pytest.raises(ConfigError, match=r"preshared.secret is damaged. Put it back from a backup; or delete it"):
        load_secret(str(tmp_path))
    assert file(tmp_path).read_text() == content


def test_one_that_cannot_be_read_is_an_error_and_no_new_secret(tmp_path):
    file(tmp_path).mkdir()
    with pytest.raises(ConfigError, match=r"preshared.secret, which the preshared keys come from, is not usable: "):
        load_secret(str(tmp_path))
