"""A W&B server on 127.0.0.1: it keeps runs, files and artifacts as the client sends them, and can fail on request."""

import gzip
import json
import re
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from fakes.wandb_graphql import Operations

OPERATION = re.compile(r"(?:query|mutation)\s+(\w+)")


@dataclass
class Run:
    """One run. `lines`: the streamed lines by file name; `files`: the uploaded ones."""

    name: str
    fields: dict = field(default_factory=dict)
    lines: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    files: dict[str, bytes] = field(default_factory=dict)
    exit_code: int | None = None
    inputs: list[str] = field(default_factory=list)

    @property
    def history(self) -> list[dict]:
        return [json.loads(line) for line in self.lines["wandb-history.jsonl"]]

    @property
    def summary(self) -> dict:
        lines = self.lines["wandb-summary.json"]
        return json.loads(lines[-1]) if lines else {}

    @property
    def config(self) -> dict:
        values = json.loads(self.fields.get("config") or "{}")
        return {key: item["value"] for key, item in values.items() if key != "_wandb"}


@dataclass
class Artifact:
    """One version of an artifact; a collection's versions count from 0."""

    id: str
    run: str
    collection: str
    type: str
    digest: str
    client_id: str
    aliases: list[str]
    metadata: str
    version: int
    state: str = "PENDING"
    manifest: dict = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """What may stand behind the collection's name and a colon."""
        return [f"v{self.version}", *self.aliases]


class WandbServer(Operations):
    """Use as a context manager.

    runs: by id. artifacts: by their id. links: the artifacts' ids by (entity, project, collection). failure: what every
    request gets from now on: a status (401, 500), `garbage`, or `hang`. drop: names of GraphQL operations and of
    uploads (a part of their path) that are refused.
    """

    def __init__(self, **changes) -> None:
        self.runs: dict[str, Run] = {}
        self.artifacts: dict[str, Artifact] = {}
        self.links: dict[tuple[str, str, str], list[str]] = {}
        self.alerts: list[tuple[str, str, str]] = []
        self.failure: int | str | None = None
        self.drop: tuple[str, ...] = ()
        self.asked: list[str] = []
        self._over = threading.Event()
        vars(self).update(changes)
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"fake": self}))
        self._http.daemon_threads = True
        self._http.handle_error = lambda *_: None  # a client that is killed drops its connections
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> "WandbServer":
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exc) -> None:
        self.stop()

    def stop(self) -> None:
        """Refuse every further connection, and drop those that hang."""
        self._over.set()
        self._http.shutdown()
        self._http.server_close()

    @property
    def run(self) -> Run:
        """The only run."""
        (run,) = self.runs.values()
        return run

    def of_type(self, kind: str) -> list[Artifact]:
        """The committed artifacts of a type, in order."""
        return [one for one in self.artifacts.values() if one.type == kind and one.state == "COMMITTED"]

    def wait_until(self, true, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, "the server was not told in time"
            time.sleep(0.02)

    def graphql(self, query: str, variables: dict) -> dict:
        name = OPERATION.search(query).group(1)
        self.asked.append(name)
        answer = getattr(self, name, None)
        if answer is None or name in self.drop:  # empty data would crash the client
            return {"errors": [{"message": f"{name} is not answered"}]}
        return {"data": answer(variables)}

    def file_stream(self, name: str, message: dict) -> dict:
        run = self.runs[name]
        for file, chunk in message.get("files", {}).items():
            run.lines[file][chunk["offset"] :] = chunk["content"]
        if message.get("complete"):
            run.exit_code = message["exitcode"]
        return {}

    def upload(self, path: str, content: bytes) -> None:
        kind, owner, name = path.strip("/").split("/", 2)
        if kind == "manifest":
            self.artifacts[owner].manifest = json.loads(content)
        else:
            {"run": self.runs, "artifact": self.artifacts}[kind][owner].files[unquote(name)] = content


class _Handler(BaseHTTPRequestHandler):
    fake: WandbServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self._body()
        if self._failed():
            return
        if self.path == "/graphql":
            question = json.loads(body)
            self._answer(200, self.fake.graphql(question["query"], question.get("variables") or {}))
        elif self.path.endswith("/file_stream") and "file_stream" not in self.fake.drop:
            self._answer(200, self.fake.file_stream(self.path.split("/")[-2], json.loads(body)))
        else:
            self._answer(404, {})

    def do_PUT(self) -> None:
        body = self._body()
        if self._failed():
            return
        path = urlsplit(self.path).path
        if any(part in path for part in self.fake.drop):
            self._answer(403, {})
            return
        self.fake.upload(path, body)
        self._answer(200, {})

    def do_GET(self) -> None:
        if not self._failed():
            self._answer(404, {})

    def _body(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _failed(self) -> bool:
        failure = self.fake.failure
        if failure == "hang":
            self.fake._over.wait()
            self.close_connection = True
        elif failure == "garbage":
            self._send(200, b"<html>proxy says hello</html>")
        elif failure:
            self._answer(failure, {"errors": [{"message": f"HTTP {failure}"}]})
        return failure is not None

    def _answer(self, status: int, answer: dict) -> None:
        self._send(status, json.dumps(answer).encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args) -> None:
        pass
