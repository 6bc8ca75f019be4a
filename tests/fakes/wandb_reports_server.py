"""The W&B server of the tests, with the operations that make a report."""

import json

from fakes.wandb_server import WandbServer


class WandbReportsServer(WandbServer):
    """`reports`: what was saved, in order: title, type, project and spec. `projects`: those that there are."""

    def __init__(self, projects=("frame",), **changes) -> None:
        self.projects = projects
        self.reports: list[dict] = []
        super().__init__(**changes)

    def GetDefaultEntity(self, asked):
        return {"viewer": {"id": "VQ==", "entity": "someone"}}

    def ProjectInternalId(self, asked):
        known = asked["projectName"] in self.projects
        return {"project": {"id": "UHJvamVjdA==", "internalId": "UHJvamVjdDox"} if known else None}

    def GetProjects(self, asked):
        edges = [
            {"node": {
                "__typename": "Project", "id": name, "name": name, "entityName": asked["entity"],
                "createdAt": "2026-11-24T00:00:00", "isBenchmark": False, "user": None,
            }}
            for name in self.projects
        ]  # fmt: skip
        page = {"__typename": "PageInfo", "endCursor": None, "hasNextPage": False}
        return {"models": {"pageInfo": page, "edges": edges}}

    def upsertView(self, asked):
        self.reports.append(asked | {"spec": json.loads(asked["spec"])})
        project = {"id": "UHJvamVjdA==", "name": asked["projectName"], "entityName": asked["entityName"]}
        view = {
            "id": f"Vmlldzo{len(self.reports)}", "type": asked["type"], "name": asked["name"],
            "displayName": asked["displayName"], "description": asked["description"], "project": project,
            "spec": asked["spec"], "updatedAt": "2026-11-24T00:00:00",
        }  # fmt: skip
        return {"upsertView": {"view": view, "inserted": True}}
