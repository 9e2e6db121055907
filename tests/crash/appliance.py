"""An appliance for the crash tests: what klero.Appliance does, under the recorder of its disk, and
its store put into any state."""

import os
import pathlib
import shutil
import signal
import subprocess

import disk
import klero


class Crashable(klero.Appliance):
    """Its store folder can be kept, put back and recorded."""

    def __init__(self, bindir, directory, lines=()):
        super().__init__(bindir, directory, list(lines) + klero.NO_LIMITS + ["death-budget 50/1"])
        self.recorder = None

    @property
    def store(self):
        return self.dir / "store"

    @property
    def record(self):
        return self.dir / "disk.record"

    def keep(self, name):
        """A copy of the store as it is."""
        copy(self.store, self.dir / name)

    def put_back(self, name):
        shutil.rmtree(self.store)
        copy(self.dir / name, self.store)

    @property
    def journal(self):
        """The folder of what hsm must not forget."""
        return self.dir / "store-hsm"

    def cut(self, of, rng):
        """Store and hsm's journal become what the disk may show; how that was chosen. Both are of the
        same moment: a journal of the future has seen what the store never began."""
        made = {folder: fresh_folder(self.dir / name) for folder, name in ((self.store, "state"), (self.journal, "journal"))}
        how = of.cut(rng, {str(folder): state for folder, state in made.items()})
        if os.environ.get("CRASH_KEEP") == "1":
            shutil.rmtree(self.dir / "cut", ignore_errors=True)
            copy(made[self.store], self.dir / "cut")
        for folder, state in made.items():
            shutil.rmtree(folder)
            os.rename(state, folder)
        return how

    def start_recorded(self):
        """Starts klerod under the recorder; the disk as it is before that."""
        folders = [self.store, self.journal]
        before = disk.Disk(*folders)
        self.recorder = subprocess.Popen(
            [self.bin.parent / "tools" / "disklog", self.record, *folders, "--", self.bin / "klerod", "-c", self.conf],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.recorder.stdout.readline()
        if not line.startswith("klerod: ready "):
            self.recorder.terminate()
            raise klero.Failure(f"klerod did not start: {line}{self.recorder.stderr.read()}{self.log()[-2000:]}")
        return before

    def power_off(self):
        """Everything ends at once; the events of the record."""
        self.recorder.send_signal(signal.SIGTERM)
        return self.recorded()

    def stop_recorded(self):
        """klerod ends as its operator bids; the events of the record."""
        for pid in klero.children(self.recorder.pid):
            os.kill(pid, signal.SIGTERM)
        return self.recorded()

    def recorded(self):
        status = self.recorder.wait(120)
        # klerod's own first error of a start comes here, too: of an old raffle, say
        error = [line for line in self.recorder.stderr if not line.startswith("klerod: ")]
        self.recorder.stdout.close()
        self.recorder.stderr.close()
        self.recorder = None
        if status or error:
            raise klero.Failure(f"disklog: status {status}: {error}")
        events = disk.read(self.record)
        self.record.unlink()
        return events

    def stop(self, how=signal.SIGTERM):
        if self.recorder:
            self.recorder.kill()
            self.recorder.wait()
            self.recorder = None
        return super().stop(how)


def copy(source, target):
    subprocess.run(["cp", "-a", source, target], check=True)


def fresh_folder(path):
    path = pathlib.Path(path)
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    return path
