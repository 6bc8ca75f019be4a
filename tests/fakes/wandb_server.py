"""A W&B server on 127.0.0.1, just large enough for one online run: it keeps what the client streams to it."""

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class WandbServer:
    """Use as a context manager. `lines`: the streamed lines by file name. `exit_code`: of the finished run."""

    def __init__(self) -> None:
        self.lines: dict[str, list[str]] = {}
        self.exit_code: int | None = None
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"fake": self}))
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> "WandbServer":
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exc) -> None:
        self.stop()

    def stop(self) -> None:
        """Refuse every further connection."""
        self._http.shutdown()
        self._http.server_close()

    @property
    def history(self) -> list[dict]:
        """The rows of the run's history."""
        return [json.loads(line) for line in self.lines.get("wandb-history.jsonl", [])]

    def graphql(self, query: str) -> dict:
        if "upsertBucket" in query:
            project = {"name": "frame", "entity": {"name": "someone"}}
            bucket = {"id": "UnVu", "name": "run", "displayName": "run", "config": "{}", "project": project}
            return {"data": {"upsertBucket": {"bucket": bucket, "inserted": True}}}
        if "createRunFiles" in query:
            return {"data": {"createRunFiles": {"runID": "UnVu", "uploadHeaders": [], "files": []}}}
        return {"errors": [{"message": "unknown operation"}]}  # empty data would crash the client

    def file_stream(self, message: dict) -> dict:
        for name, chunk in message.get("files", {}).items():
            self.lines.setdefault(name, [])[chunk["offset"] :] = chunk["content"]
        if message.get("complete"):
            self.exit_code = message["exitcode"]
        return {}


class _Handler(BaseHTTPRequestHandler):
    fake: WandbServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if self.path == "/graphql":
            self._answer(200, self.fake.graphql(json.loads(body)["query"]))
        elif self.path.endswith("/file_stream"):
            self._answer(200, self.fake.file_stream(json.loads(body)))
        else:
            self._answer(404, {})

    def do_GET(self) -> None:
        self._answer(404, {})

    def _answer(self, status: int, answer: dict) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args) -> None:
        pass
