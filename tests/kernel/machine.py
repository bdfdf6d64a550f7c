"""User-mode Linux: a kernel that runs as a process, and Debian machines with systemd on it."""

import contextlib
import shutil
import subprocess
import time
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
DEADLINE = 300

# Runs in the machine, as agent.service. A script counts once it has its name, an exit code likewise.
AGENT = """
cd /share
export PATH=/opt/salt/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
while :; do
    for todo in todo-*; do
        [ -e "$todo" ] || continue
        number=${todo#todo-}
        mv "$todo" "doing-$number"
        sh "doing-$number" >"out-$number" 2>&1 </dev/null
        echo $? >"rc-$number"
        mv "rc-$number" "code-$number"
    done
    sleep 0.1
done
"""


def uml(kernel, arguments, folder, console):
    """
    Start a kernel with these arguments. ``folder`` is for its control files, ``console`` takes what it writes.

    It is the child of a process whose end, in whatever way, ends everything that the machine consists of.
    """
    argv = [
        "setpriv",
        "--pdeathsig",
        "KILL",
        "unshare",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "--net",
        str(kernel),
    ]
    argv += ["seccomp=on", "ncpus=2", f"uml_dir={folder}/", "umid=machine", "con=null", "con0=null,fd:1", "quiet"]
    return subprocess.Popen([*argv, *arguments], stdin=subprocess.DEVNULL, stdout=console, stderr=console)


class Debian:
    """
    A machine that boots from a disk: what it writes is in a file of its own, which survives a power cut as a disk does.

    It has the checkout's modules in ``/share/checkout``, where the folder of the test is ``/share``.
    """

    def __init__(self, kernel, disk, folder, written=None):
        """``written``: a file of what another machine with this disk has written."""
        self._kernel, self._disk, self._folder = kernel, disk, folder
        self._process, self._number = None, 0
        self.written = folder / "written"
        if written:  # most of it is a hole
            subprocess.run(["cp", "--sparse=always", written, self.written], check=True)
        self.share = folder / "share"
        self.share.mkdir()
        (self.share / "agent").write_text(AGENT)
        for path in (*REPO.glob("_[a-z]*"), REPO / "salt"):
            shutil.copytree(path, self.share / "checkout" / path.name, ignore=shutil.ignore_patterns("__pycache__"))

    def on(self):
        """Returns when it answers."""
        for left in (*self.share.glob("todo-*"), *self.share.glob("doing-*")):
            left.unlink()
        disk = [f"ubd0={self.written},{self._disk}", "root=/dev/ubda", "rw"]
        arguments = ["mem=1G", *disk, "systemd.show_status=0", f"share={self.share}", "init=/sbin/init"]
        with (self._folder / "console").open("ab") as console:
            self._process = uml(self._kernel, arguments, self._folder, console)
        self.run("true")

    def off(self):
        """Shut down in order."""
        self.start("systemctl poweroff --no-block")
        self._process.wait(DEADLINE)

    def cut(self):
        """The power, at this moment."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def reboot(self):
        """Returns when everything that systemd starts at boot has been started."""
        self.off()
        self.on()
        self.run("systemctl is-system-running --wait || true")

    def start(self, script):
        """Have a script run, and go on. Scripts run one after the other."""
        self._number += 1
        hidden = self.share / f"new-{self._number}"
        hidden.write_text(script)
        hidden.rename(self.share / f"todo-{self._number}")
        return self._number

    def run(self, script, check=True):
        """What a script writes, in the machine. An error where it fails."""
        number = self.start(script)
        code, deadline = self.share / f"code-{number}", time.monotonic() + DEADLINE
        while not code.exists():
            assert self._process.poll() is None, f"the machine is off: {self._last_words()}"
            assert time.monotonic() < deadline, f"it takes too long: {script}: {self._last_words()}"
            time.sleep(0.05)
        output = (self.share / f"out-{number}").read_text(errors="replace")
        assert not check or int(code.read_text()) == 0, f"{script}: {output}"
        return output

    def _last_words(self):
        with contextlib.suppress(FileNotFoundError):
            return (self._folder / "console").read_text(errors="replace")[-2000:]
