"""The W&B server of the tests, with the operations that make and change a report and a saved view."""

import json

from fakes.wandb_server import Run, WandbServer

PAGE = {"__typename": "PageInfo", "endCursor": None, "hasNextPage": False}


class WandbReportsServer(WandbServer):
    """`reports`: what was saved, in order: title, type, project and spec. `views`: the same of saved views, by name.

    projects: those that there are. gone: ids of runs that were deleted; it is asked for others that tests did not log.
    """

    def __init__(self, projects=("frame",), **changes) -> None:
        self.projects = projects
        self.reports: list[dict] = []
        self.views: dict[str, dict] = {}
        self.gone: tuple[str, ...] = ()
        super().__init__(**changes)

    def ProjectInternalId(self, asked):
        known = asked["projectName"] in self.projects
        return {"project": {"id": "UHJvamVjdA==", "internalId": "UHJvamVjdDox"} if known else None}

    def Runs(self, asked):
        if asked["project"] not in self.projects:
            return {"project": None}
        for name in json.loads(asked["filters"])["name"]["$in"]:
            if name not in self.gone:
                self.runs.setdefault(name, Run(name))
        return super().Runs(asked)

    def GetProjects(self, asked):
        edges = [
            {"node": {
                "__typename": "Project", "id": name, "name": name, "entityName": asked["entity"],
                "createdAt": "2026-11-24T00:00:00", "isBenchmark": False, "user": None,
            }}
            for name in self.projects
        ]  # fmt: skip
        return {"models": {"pageInfo": PAGE, "edges": edges}}

    def upsertView(self, asked):
        saved = asked | {"spec": json.loads(asked["spec"]), "id": asked["id"] or f"Vmlldzo{len(self.reports) + 1}"}
        self.reports.append(saved)
        return {"upsertView": {"view": self._view(saved), "inserted": asked["id"] is None}}

    def SpecificReport(self, asked):
        found = [one for one in self.reports if one["id"] == asked["reportId"]]
        return {"view": self._view(found[-1]) if found else None}

    def ProjectViews(self, asked):
        """The published reports."""
        latest = {one["id"]: one for one in self.reports if one["type"] == "runs"}
        user = {"username": "someone", "photoUrl": None, "email": None}
        edges = [{"node": self._view(one) | {"user": user}, "cursor": one["id"]} for one in latest.values()]
        return {"project": {"allViews": {"edges": edges, "pageInfo": PAGE}}}

    def UpsertView2(self, asked):
        self.views[asked["name"]] = asked | {"spec": json.loads(asked["spec"])}
        return {"upsertView": {"view": {"id": f"id of {asked['name']}", "name": asked["name"]}, "inserted": True}}

    def View(self, asked):
        saved = self.views.get(asked["viewName"])
        node = saved and {"id": f"id of {saved['name']}", "displayName": saved["displayName"]}
        edges = [{"node": node | {"spec": json.dumps(saved["spec"])}}] if saved else []
        return {"project": {"allViews": {"edges": edges}}}

    def _view(self, saved):
        project = {"id": "UHJvamVjdA==", "name": saved["projectName"], "entityName": saved["entityName"]}
        return {
            "id": saved["id"], "type": saved["type"], "name": saved["name"], "displayName": saved["displayName"],
            "description": saved["description"], "project": project, "spec": json.dumps(saved["spec"]),
            "createdAt": "2026-11-24T00:00:00", "updatedAt": "2026-11-24T00:00:00",
        }  # fmt: skip
