"""What tells a minion that its files are not those of its master, and a process that its library has changed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
DIGEST = "from saltext.wireguard import deployment; print(json.dumps(deployment.digest()))"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for folder in ("_modules", "_states", "_output", "_utils"):
        shutil.copytree(REPO / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def run(checkout: Path, code: str) -> object:
    """What a process of its own, which imports the library from there, prints."""
    environ = {**os.environ, "PYTHONPATH": str(checkout / "_utils"), "PYTHONDONTWRITEBYTECODE": "1"}
    argv = [sys.executable, "-c", f"import json, sys\nfrom pathlib import Path\n{code}", str(checkout)]
    return json.loads(subprocess.run(argv, env=environ, capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize(
    "name", ["_modules/wireguard.py", "_states/wireguard.py", "_utils/saltext/wireguard/errors.py"]
)
def test_a_change_of_any_file_that_minions_have_is_another_digest(checkout: Path, name: str) -> None:
    before = run(checkout, DIGEST)
    with (checkout / name).open("a") as file:
        file.write("# another commit\n")
    assert run(checkout, DIGEST) != before


def test_a_new_file_is_another_digest_and_what_minions_do_not_have_is_not(checkout: Path) -> None:
    before = run(checkout, DIGEST)
    (checkout / "_pillar").mkdir()
    (checkout / "_pillar/wireguard.py").write_text("# of the master\n")
    (checkout / "_modules/ours.py").write_text("# of this site, synced to the same folder\n")
    (checkout / "_utils/saltext/wireguard/notes.txt").write_text("of somebody\n")
    assert run(checkout, DIGEST) == before
    (checkout / "_utils/saltext/wireguard/node/new.py").write_text("")
    assert run(checkout, DIGEST) != before


def test_the_digest_does_not_depend_on_where_the_files_are(checkout: Path, tmp_path: Path) -> None:
    assert run(checkout, DIGEST) == run(REPO, DIGEST)


def test_a_process_sees_a_change_and_reads_nothing_while_there_is_none(checkout: Path) -> None:
    code = """
from saltext.wireguard import deployment
reads = []
sys.addaudithook(lambda event, args: event == "open" and str(args[0]).endswith(".py") and reads.append(args[0]))
first = deployment.digest()
some = len(reads)
again = deployment.digest()
unread = len(reads) == some
Path(deployment.LIBRARY, "errors.py").write_text("# shorter\\n")
print(json.dumps([some > 100, again == first, unread, deployment.digest() == first]))
"""
    assert run(checkout, code) == [True, True, True, False]


FORGET = """
import saltext.wireguard.errors as before
from saltext.wireguard.deployment import forget_if_changed
{change}
forget_if_changed()
import saltext.wireguard.errors as after
print(json.dumps([after is before, getattr(after, "NEW", None)]))
"""


@pytest.mark.parametrize(
    ("change", "said"),
    [("", [True, None]), ("with open(before.__file__, 'a') as file: file.write('NEW = 1')", [False, 1])],
    ids=["unchanged", "changed"],
)
def test_a_changed_library_is_imported_anew_and_an_unchanged_one_is_not(
    checkout: Path, change: str, said: list[object]
) -> None:
    assert run(checkout, FORGET.format(change=change)) == said


def test_other_extensions_stay_imported(checkout: Path) -> None:
    (checkout / "_utils/saltext/other.py").write_text("")
    code = FORGET.format(change="import saltext.other; Path(before.__file__).write_text('')").replace(
        "json.dumps([", 'json.dumps(["saltext.other" in sys.modules, '
    )
    assert run(checkout, code) == [True, False, None]
