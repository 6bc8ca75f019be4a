"""The W&B server of the tests, with what `wandb sweep` and `wandb agent` ask of it."""

import json

import yaml

from fakes.wandb_graphql import PROJECT
from fakes.wandb_reports_server import WandbReportsServer

SWEEP = "sweep1"


class WandbAgentsServer(WandbReportsServer):
    """It has one sweep. config: its file's values. points: values of its parameters that it hands out, one a run.

    states: what agents said of their runs, each time they did.
    """

    def __init__(self, config=None, points=(), **changes) -> None:
        self.config, self.points = config or {}, list(points)
        self.states: list[dict] = []
        self.handed_out = 0
        super().__init__(**changes)

    def UpsertSweep(self, asked):
        self.config = yaml.safe_load(asked["config"])
        if not self.points:
            self.points = [{key: one["values"][0] for key, one in self.config["parameters"].items()}]
        project = PROJECT | {"name": asked["projectName"], "entity": {"id": "RQ==", "name": asked["entityName"]}}
        return {"upsertSweep": {"sweep": {"name": SWEEP, "project": project}, "configValidationWarnings": []}}

    def SweepWithRuns(self, asked):
        sweep = {"name": asked["sweep"], "state": "RUNNING", "config": yaml.safe_dump(self.config)}
        return {"project": {"sweep": sweep | {"runs": {"edges": []}} if asked["sweep"] == SWEEP else None}}

    def GetSweep(self, asked):
        sweep = {"__typename": "Sweep", "id": SWEEP, "name": SWEEP, "state": "RUNNING"}
        return {"project": {"sweep": sweep | {"config": yaml.safe_dump(self.config)}}}

    def Runs(self, asked):
        """Those that the filter names, all of a sweep, or all of them."""
        if "$and" not in json.loads(asked["filters"]):
            return super().Runs(asked)
        edges = [
            {"node": self._facts(run), "cursor": run.name}
            for run in self.runs.values()
            if run.fields.get("sweep") == SWEEP
        ]
        page = {"endCursor": None, "hasNextPage": False}
        return {"project": {"internalId": "1", "runCount": len(edges), "runs": {"edges": edges, "pageInfo": page}}}

    def CreateAgent(self, asked):
        return {"createAgent": {"agent": {"id": "agent1"}}}

    def Heartbeat(self, asked):
        """Hand out the next point once the agent's runs have ended, and let it exit after the last."""
        running = json.loads(asked["runState"])
        self.states.append(running)
        commands = []
        if not running and self.points:
            self.handed_out += 1
            args = {key: {"value": value} for key, value in self.points.pop(0).items()}
            commands = [{"type": "run", "run_id": f"agent-run{self.handed_out}", "program": "frame", "args": args}]
        elif not running:
            commands = [{"type": "exit"}]
        return {"agentHeartbeat": {"agent": {"id": asked["id"]}, "commands": json.dumps(commands)}}
