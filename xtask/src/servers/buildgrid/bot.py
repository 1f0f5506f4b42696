"""A worker for BuildGrid, which has none of its own: leases actions and runs them.

    bot.py HOST:PORT DIRECTORY INSTANCE NAME=SLOWNESS…

There is a seat for each NAME: a SLOWNESS of 1 runs actions as they are, 8 takes eight times as long. One
of hold:PATH begins none before there is a file PATH/go; it notes those that it has got as PATH/got-ID, and
those that the server took away again as PATH/lost-ID. Told to end, it leaves the server in good order.
Nothing is sandboxed: an action runs in a directory with a random name below DIRECTORY, and sees this machine.
"""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from buildgrid._protos.build.bazel.remote.execution.v2 import remote_execution_pb2 as re
from buildgrid._protos.build.bazel.remote.execution.v2 import remote_execution_pb2_grpc as re_grpc
from buildgrid._protos.google.bytestream import bytestream_pb2, bytestream_pb2_grpc
from buildgrid._protos.google.devtools.remoteworkers.v1test2 import bots_pb2, bots_pb2_grpc
from buildgrid._protos.google.rpc import code_pb2

PIECE = 1 << 20
LONGEST_POLL = 20
# How often the server is asked whether a running action was cancelled.
PAUSE = 0.2
# How often it is looked whether a held action may begin.
LOOK = 0.05
# What a seat may take to leave the server.
FAREWELL = 3


class Refused(Exception):
    """Ends an action with a status."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


class Cas:
    """The server's blobs, with those that were read once kept on disk: toolchains are large."""

    def __init__(self, channel, instance, directory):
        self.instance = instance
        self.kept = directory / "kept"
        self.kept.mkdir(parents=True, exist_ok=True)
        self.storage = re_grpc.ContentAddressableStorageStub(channel)
        self.streams = bytestream_pb2_grpc.ByteStreamStub(channel)

    def file(self, digest):
        """The path of a file with these bytes; not to be changed."""
        path = self.kept / digest.hash
        if not path.exists():
            new = self.kept / f"new-{uuid.uuid4().hex}"
            with open(new, "wb") as out:
                for piece in self._read(digest):
                    out.write(piece)
            os.rename(new, path)
        return path

    def message(self, kind, digest):
        return kind.FromString(self.file(digest).read_bytes())

    def _read(self, digest):
        if digest.size_bytes == 0:
            return
        name = f"{self.instance}/blobs/{digest.hash}/{digest.size_bytes}"
        try:
            for answer in self.streams.Read(bytestream_pb2.ReadRequest(resource_name=name)):
                yield answer.data
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.NOT_FOUND:
                raise Refused(code_pb2.FAILED_PRECONDITION, f"blob {digest.hash} is gone") from error
            raise

    def write(self, path):
        """Uploads a file; returns its digest."""
        with open(path, "rb") as file:
            digest = re.Digest(hash=hashlib.file_digest(file, "sha256").hexdigest())
            digest.size_bytes = file.tell()
        asked = re.FindMissingBlobsRequest(instance_name=self.instance, blob_digests=[digest])
        if digest.size_bytes > 0 and self.storage.FindMissingBlobs(asked).missing_blob_digests:
            self.streams.Write(self._pieces(path, digest))
        return digest

    def _pieces(self, path, digest):
        name = f"{self.instance}/uploads/{uuid.uuid4()}/blobs/{digest.hash}/{digest.size_bytes}"
        offset = 0
        with open(path, "rb") as file:
            while offset < digest.size_bytes:
                data = file.read(PIECE)
                yield bytestream_pb2.WriteRequest(
                    resource_name=name,
                    write_offset=offset,
                    data=data,
                    finish_write=offset + len(data) == digest.size_bytes,
                )
                offset += len(data)

    def write_message(self, message, scratch):
        path = scratch / f"message-{uuid.uuid4().hex}"
        path.write_bytes(message.SerializeToString(deterministic=True))
        return self.write(path)


class Run:
    """One action, from its lease to its result."""

    def __init__(self, seat, action):
        self.seat, self.cas, self.action = seat, seat.cas, action
        self.name = uuid.uuid4().hex
        self.scratch = seat.directory / self.name
        self.root = self.scratch / "root"
        self.process = None
        self.cancelled = threading.Event()
        self.result = re.ActionResult()
        self.code, self.text = code_pb2.OK, ""
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def cancel(self):
        self.cancelled.set()
        self._kill()

    def lost(self):
        """The server does not want it any more."""
        self.cancel()
        self._note("lost")

    def _note(self, what):
        if self.seat.gate:
            (self.seat.gate / f"{what}-{self.name}").touch()

    def _held(self):
        self._note("got")
        while self.seat.gate and not (self.seat.gate / "go").exists():
            if self.cancelled.wait(LOOK):
                raise Refused(code_pb2.CANCELLED, "it was cancelled")

    def _kill(self):
        if self.process is not None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def _run(self):
        try:
            self.root.mkdir(parents=True)
            self.result.execution_metadata.worker = self.seat.name
            self._held()
            self._execute()
        except Refused as refused:
            self.code, self.text = refused.code, str(refused)
        except Exception as error:  # whatever it is, the server is told
            print(f"{self.seat.name}: {error!r}", flush=True)
            self.code, self.text = code_pb2.INTERNAL, repr(error)
        finally:
            shutil.rmtree(self.scratch, ignore_errors=True)

    def _execute(self):
        metadata = self.result.execution_metadata
        metadata.input_fetch_start_timestamp.GetCurrentTime()
        command = self.cas.message(re.Command, self.action.command_digest)
        with ThreadPoolExecutor(4) as pool:
            self._stage(self.action.input_root_digest, self.root, pool)
        metadata.input_fetch_completed_timestamp.GetCurrentTime()
        place = self.root / command.working_directory
        place.mkdir(parents=True, exist_ok=True)
        outputs = command.output_paths or [*command.output_files, *command.output_directories]
        for output in outputs:
            (place / output).parent.mkdir(parents=True, exist_ok=True)
        metadata.execution_start_timestamp.GetCurrentTime()
        self.result.exit_code = self._command(command, place)
        metadata.execution_completed_timestamp.GetCurrentTime()
        metadata.output_upload_start_timestamp.GetCurrentTime()
        for output in outputs:
            self._collect(output, place / output)
        self.result.stdout_digest.CopyFrom(self.cas.write(self.scratch / "stdout"))
        self.result.stderr_digest.CopyFrom(self.cas.write(self.scratch / "stderr"))
        metadata.output_upload_completed_timestamp.GetCurrentTime()

    def _command(self, command, place):
        environment = {each.name: each.value for each in command.environment_variables}
        began = time.monotonic()
        limit = self.action.timeout.ToTimedelta().total_seconds() or None
        with open(self.scratch / "stdout", "wb") as out, open(self.scratch / "stderr", "wb") as err:
            try:
                self.process = subprocess.Popen(
                    list(command.arguments), cwd=place, env=environment, stdin=subprocess.DEVNULL,
                    stdout=out, stderr=err, start_new_session=True,
                )
            except OSError as error:
                raise Refused(code_pb2.INVALID_ARGUMENT, str(error)) from error
            if self.cancelled.is_set():
                self._kill()
            try:
                code = self.process.wait(limit)
            except subprocess.TimeoutExpired as error:
                self._kill()
                raise Refused(code_pb2.DEADLINE_EXCEEDED, "the command ran too long") from error
        self.cancelled.wait((time.monotonic() - began) * (self.seat.slowness - 1))
        return code if code >= 0 else 128 - code

    def _stage(self, digest, path, pool):
        directory = self.cas.message(re.Directory, digest)
        for node in directory.directories:
            (path / node.name).mkdir()
            self._stage(node.digest, path / node.name, pool)
        for link in directory.symlinks:
            os.symlink(link.target, path / link.name)

        def place(node):
            # Linked only where nothing writes: an action might change its inputs.
            target = path / node.name
            if node.digest.size_bytes > PIECE:
                os.link(self.cas.file(node.digest), target)
            else:
                shutil.copyfile(self.cas.file(node.digest), target)
            os.chmod(target, 0o555 if node.is_executable or node.digest.size_bytes > PIECE else 0o444)

        list(pool.map(place, directory.files))

    def _collect(self, name, path):
        if path.is_symlink():
            self.result.output_symlinks.add(path=name, target=os.readlink(path))
        elif path.is_dir():
            tree = re.Tree()
            tree.root.CopyFrom(self._directory(path, tree))
            digest = self.cas.write_message(tree, self.scratch)
            self.result.output_directories.add(path=name, tree_digest=digest)
        elif path.is_file():
            executable = os.access(path, os.X_OK) and bool(path.stat().st_mode & 0o111)
            digest = self.cas.write(path)
            self.result.output_files.add(path=name, digest=digest, is_executable=executable)

    def _directory(self, path, tree):
        directory = re.Directory()
        for entry in sorted(os.scandir(path), key=lambda entry: entry.name):
            if entry.is_symlink():
                directory.symlinks.add(name=entry.name, target=os.readlink(entry.path))
            elif entry.is_dir():
                child = self._directory(Path(entry.path), tree)
                tree.children.append(child)
                digest = self.cas.write_message(child, self.scratch)
                directory.directories.add(name=entry.name, digest=digest)
            else:
                executable = bool(entry.stat().st_mode & 0o111)
                digest = self.cas.write(Path(entry.path))
                directory.files.add(name=entry.name, digest=digest, is_executable=executable)
        return directory


class Seat:
    """A session that has at most one lease."""

    def __init__(self, channel, instance, cas, directory, spec):
        self.bots = bots_pb2_grpc.BotsStub(channel)
        self.instance, self.cas, self.directory = instance, cas, directory
        self.name, _, kind = spec.partition("=")
        self.gate = Path(kind.removeprefix("hold:")) if kind.startswith("hold:") else None
        self.slowness = 1.0 if self.gate else float(kind)
        self.runs = {}
        self.session = self.call = None
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def serve(self):
        while not self.ending.is_set():
            try:
                self._session()
            except (grpc.RpcError, grpc.FutureCancelledError) as error:
                if self.ending.is_set():
                    break
                print(f"{self.name}: {error.code()}: {error.details()}", flush=True)
                for run in self.runs.values():
                    run.cancel()
                self.runs.clear()
                time.sleep(PAUSE)
        if self.session:
            self._leave()

    def _session(self):
        bot = f"{self.instance}-{self.name}"
        session = bots_pb2.BotSession(bot_id=bot, status=bots_pb2.OK)
        session.worker.devices.add(handle=self.name)
        request = bots_pb2.CreateBotSessionRequest(parent=self.instance, bot_session=session)
        self.session = self.bots.CreateBotSession(request, timeout=LONGEST_POLL)
        print(f"{self.name}: ready", flush=True)
        while not self.ending.is_set():
            self._follow(self.session)
            self._update()

    def _update(self):
        request = bots_pb2.UpdateBotSessionRequest(name=self.session.name, bot_session=self.session)
        self.call = self.bots.UpdateBotSession.future(request, timeout=LONGEST_POLL)
        if self.ending.is_set() and self.session.status == bots_pb2.OK:
            self.call.cancel()
        self.session = self.call.result()

    def end(self):
        self.ending.set()
        if self.call:
            self.call.cancel()

    def _leave(self):
        """Takes no more actions: a session that only falls silent is given some for minutes."""
        for run in self.runs.values():
            run.cancel()
        self.session.status = bots_pb2.BOT_TERMINATING
        try:
            self._update()
        except grpc.RpcError as error:
            print(f"{self.name}: {error.code()}: {error.details()}", flush=True)

    def _follow(self, session):
        """Starts and stops runs as the server says; reports those that have ended."""
        wanted = {lease.id for lease in session.leases}
        for gone in self.runs.keys() - wanted:
            self.runs.pop(gone).lost()
        for lease in session.leases:
            if lease.id not in self.runs:
                action = self._action(lease.payload)
                self.runs[lease.id] = Run(self, action)
            run = self.runs[lease.id]
            run.thread.join(PAUSE)
            if not run.thread.is_alive():
                lease.state = bots_pb2.COMPLETED
                lease.status.code, lease.status.message = run.code, run.text
                lease.result.Pack(run.result)

    def _action(self, payload):
        if payload.Is(re.Action.DESCRIPTOR):
            return re.Action.FromString(payload.value)
        return self.cas.message(re.Action, re.Digest.FromString(payload.value))


def main():
    address, directory, instance, *specs = sys.argv[1:]
    end = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: end.set())
    channel = grpc.insecure_channel(address, [("grpc.max_receive_message_length", -1)])
    directory = Path(directory)
    cas = Cas(channel, instance, directory)
    seats = [Seat(channel, instance, cas, directory, spec) for spec in specs]
    for seat in seats:
        seat.thread.start()
    end.wait()
    for seat in seats:
        seat.end()
    for seat in seats:
        seat.thread.join(FAREWELL)


if __name__ == "__main__":
    main()
