"""The GraphQL operations that the W&B client (0.31) asks of a server, each a method with the operation's name."""

import json
from urllib.parse import quote

PROJECT = {"id": "UHJvamVjdA==", "internalId": "1", "name": "frame", "entity": {"id": "RQ==", "name": "someone"}}


class Operations:
    """Answers from `runs` and `artifacts` of the server, which derives from this."""

    def Viewer(self, asked):
        viewer = {"id": "VQ==", "username": "someone", "entity": "someone", "flags": "{}", "teams": {"edges": []}}
        return {"viewer": viewer}

    def ServerFeaturesQuery(self, asked):
        return {"serverInfo": {"features": []}}

    def FetchOrgInfoFromEntity(self, asked):
        organization = {"name": "Org", "orgEntity": {"name": "org-entity"}}
        return {"entity": {"organization": organization, "user": None}}

    def UpsertBucket(self, asked):
        from fakes.wandb_server import Run

        name = asked.get("name") or asked["id"]
        inserted = name not in self.runs
        run = self.runs.setdefault(name, Run(name))
        run.fields |= {key: value for key, value in asked.items() if value is not None}
        bucket = {
            "id": name, "name": name, "displayName": run.fields.get("displayName") or name,
            "config": run.fields.get("config") or "{}", "project": PROJECT | {"name": asked.get("project") or "frame"},
            "historyLineCount": len(run.lines["wandb-history.jsonl"]),
        }  # fmt: skip
        return {"upsertBucket": {"bucket": bucket, "inserted": inserted}}

    def RunResumeStatus(self, asked):
        run = self.runs.get(asked["name"])
        if run is None:
            return {"model": {"id": "m", "name": "frame", "entity": PROJECT["entity"], "bucket": None}}
        history, events, logs = (
            run.lines[f"{one}"] for one in ("wandb-history.jsonl", "wandb-events.jsonl", "output.log")
        )
        bucket = {
            "id": run.name, "name": run.name, "displayName": run.fields.get("displayName"), "tags": [], "notes": None,
            "historyLineCount": len(history), "eventsLineCount": len(events), "logLineCount": len(logs),
            "historyTail": json.dumps(history[-1:]), "eventsTail": json.dumps(events[-1:]),
            "summaryMetrics": json.dumps(run.summary), "config": run.fields.get("config") or "{}",
            "wandbConfig": '{"t": 1}',
        }  # fmt: skip
        return {"model": {"id": "m", "name": "frame", "entity": PROJECT["entity"], "bucket": bucket}}

    def CreateRunFiles(self, asked):
        files = [{"name": name, "uploadUrl": f"{self.url}/run/{asked['run']}/{quote(name)}"} for name in asked["files"]]
        return {"createRunFiles": {"runID": asked["run"], "uploadHeaders": [], "files": files}}

    def MarkRunFilesUploaded(self, asked):
        return {"markRunFilesUploaded": {"success": True}}

    def NotifyScriptableRunAlert(self, asked):
        self.alerts.append((asked["severity"], asked["title"], asked["text"]))
        return {"notifyScriptableRunAlert": {"success": True}}

    def Run(self, asked):
        run = self.runs.get(asked["name"])
        return {"project": {"run": run and self._facts(run)}}

    def Runs(self, asked):
        """Those that the filter names, or all of them."""
        wanted = json.loads(asked["filters"]).get("name", {}).get("$in", self.runs)
        edges = [{"node": self._facts(run), "cursor": run.name} for run in self.runs.values() if run.name in wanted]
        page = {"endCursor": None, "hasNextPage": False}
        found = {
            "internalId": "1",
            "runCount": len(edges),
            "readOnly": False,
            "runs": {"edges": edges, "pageInfo": page},
        }
        return {"project": found}

    def RunFiles(self, asked):
        run = self.runs[asked["name"]]
        nodes = [
            {"id": name, "name": name, "url": None, "directUrl": None, "sizeBytes": len(content), "mimetype": None,
             "updatedAt": None, "md5": None}
            for name, content in run.files.items()
        ]  # fmt: skip
        edges = [{"node": node, "cursor": str(number)} for number, node in enumerate(nodes)]
        files = {"edges": edges, "pageInfo": {"endCursor": None, "hasNextPage": False}}
        return {"project": {"internalId": "1", "run": {"fileCount": len(nodes), "files": files}}}

    def ArtifactType(self, asked):
        kinds = [one.type for one in self.artifacts.values() if one.collection == asked["name"].partition(":")[0]]
        return {"project": {"artifact": {"artifactType": {"name": kinds[0]}} if kinds else None}}

    def CreateArtifact(self, asked):
        from fakes.wandb_server import Artifact

        given = asked["input"]
        name = given["artifactCollectionName"]
        versions = [one for one in self.artifacts.values() if one.collection == name]
        same = [one for one in versions if one.digest == given["digest"]]
        aliases = [alias["alias"] for alias in given.get("aliases") or []]
        if same:
            artifact = same[0]
        else:
            artifact = Artifact(
                id=f"artifact{len(self.artifacts)}", run=given["runName"], collection=name,
                type=given["artifactTypeName"], digest=given["digest"], client_id=given.get("clientID", ""),
                aliases=[], metadata=given.get("metadata") or "{}", version=len(versions),
            )  # fmt: skip
            self.artifacts[artifact.id] = artifact
        for alias in aliases:
            self._move_alias(alias, artifact)
        latest = {"id": versions[-1].id} if versions else None
        facts = {"id": artifact.id, "state": artifact.state, "artifactSequence": {"latestArtifact": latest}}
        return {"createArtifact": {"artifact": facts}}

    def CreateArtifactManifest(self, asked):
        file = {"id": "f", "uploadUrl": f"{self.url}/manifest/{asked['artifactID']}/manifest", "uploadHeaders": []}
        manifest = {"id": f"manifest/{asked['artifactID']}", "file": file}
        return {"createArtifactManifest": {"artifactManifest": manifest}}

    def UpdateArtifactManifest(self, asked):
        owner = asked["artifactManifestID"].split("/")[1]
        manifest = {
            "id": f"manifest/{owner}",
            "file": {"id": "f", "uploadUrl": f"{self.url}/manifest/{owner}/manifest", "uploadHeaders": []},
        }
        return {"updateArtifactManifest": {"artifactManifest": manifest}}

    def CreateArtifactFiles(self, asked):
        edges = [
            {"node": {
                "storagePath": None, "uploadUrl": f"{self.url}/artifact/{file['artifactID']}/{quote(file['name'])}",
                "uploadHeaders": [], "uploadMultipartUrls": None, "artifact": {"id": file["artifactID"]},
            }}
            for file in asked["input"]["artifactFiles"]
        ]  # fmt: skip
        return {"createArtifactFiles": {"files": {"edges": edges}}}

    def CommitArtifact(self, asked):
        artifact = self.artifacts[asked["artifactID"]]
        artifact.state = "COMMITTED"
        return {"commitArtifact": {"artifact": {"id": artifact.id, "digest": artifact.digest}}}

    def ClientIDMapping(self, asked):
        found = [one.id for one in self.artifacts.values() if one.client_id == asked["clientID"]]
        return {"clientIDMapping": {"serverID": found[0]} if found else None}

    def UseArtifact(self, asked):
        given = asked.get("input") or asked
        artifact = self.artifacts[given["artifactID"]]
        self.runs[given["runName"]].inputs.append(artifact.id)
        return {"useArtifact": {"artifact": self._node(artifact)}}

    def ArtifactByID(self, asked):
        return {"artifact": self._node(self.artifacts[asked["id"]])}

    def RunOutputArtifacts(self, asked):
        return self._connection([one for one in self.artifacts.values() if one.run == asked["run"]])

    def RunInputArtifacts(self, asked):
        return self._connection([self.artifacts[one] for one in self.runs[asked["run"]].inputs])

    def ProjectArtifacts(self, asked):
        found = [
            one for one in self.artifacts.values() if (one.type, one.collection) == (asked["type"], asked["collection"])
        ]
        if not found:
            return {"project": {"artifactType": None}}
        edges = [{"version": f"v{one.version}", "node": self._node(one)} for one in found if one.state == "COMMITTED"]
        page = {"__typename": "PageInfo", "endCursor": None, "hasNextPage": False}
        connection = {"totalCount": len(edges), "pageInfo": page, "edges": edges}
        collection = {"__typename": "ArtifactSequence", "artifacts": connection}
        return {"project": {"artifactType": {"artifactCollection": collection}}}

    def ArtifactMembershipByName(self, asked):
        """Find a version by `collection:alias` or `collection:v0`, in its own project or where it was linked to."""
        collection, _, alias = asked["name"].partition(":")
        for (_, project, name), members in self.links.items():
            if (project, name) == (asked["project"], collection):
                found = [(number, self.artifacts[one]) for number, one in enumerate(members)]
                found = [one for number, one in found if f"v{number}" == alias]
                return self._membership(found, asked["entity"], project, name)
        found = [one for one in self.artifacts.values() if one.collection == collection and alias in one.names]
        return self._membership(found, PROJECT["entity"]["name"], asked["project"], collection)

    def AddAliases(self, asked):
        artifact = self.artifacts[asked["input"]["artifactID"]]
        for alias in asked["input"]["aliases"]:
            assert alias["artifactCollectionName"] == artifact.collection
            self._move_alias(alias["alias"], artifact)
        return {"result": {"success": True}}

    def UpdateArtifact(self, asked):
        artifact = self.artifacts[asked["input"]["artifactID"]]
        artifact.metadata = asked["input"]["metadata"]
        return {"result": {"artifact": self._node(artifact)}}

    def LinkArtifact(self, asked):
        given = asked["input"]
        place = (given["entityName"], given["projectName"], given["artifactPortfolioName"])
        members = self.links.setdefault(place, [])
        if given["artifactID"] not in members:
            members.append(given["artifactID"])
        return {"result": {"versionIndex": members.index(given["artifactID"])}}

    def GetDefaultEntity(self, asked):
        return {"viewer": {"id": "VQ==", "entity": "someone"}}

    def _move_alias(self, alias, artifact):
        """Give a version an alias, which only one of its collection has."""
        for one in self.artifacts.values():
            if one.collection == artifact.collection:
                one.aliases = [name for name in one.aliases if name != alias]
        artifact.aliases.append(alias)

    def _membership(self, found, entity, project, collection):
        if not found:
            return {"project": {"artifactCollectionMembership": None}}
        place = PROJECT | {"name": project, "entity": {"name": entity}}
        membership = {
            "__typename": "ArtifactCollectionMembership", "id": "m", "versionIndex": found[0].version,
            "createdAt": "2026-11-24T00:00:00", "artifact": self._node(found[0]),
            "aliases": [{"__typename": "ArtifactAlias", "id": one, "alias": one} for one in found[0].aliases],
            "artifactCollection": {"__typename": "ArtifactPortfolio", "name": collection, "project": place},
        }  # fmt: skip
        return {"project": {"artifactCollectionMembership": membership}}

    def _connection(self, artifacts):
        page = {"__typename": "PageInfo", "endCursor": None, "hasNextPage": False}
        edges = [{"node": self._node(one)} for one in artifacts]
        return {"project": {"run": {"artifacts": {"totalCount": len(edges), "pageInfo": page, "edges": edges}}}}

    def _facts(self, run):
        state = "running" if run.exit_code is None else "failed" if run.exit_code else "finished"
        return {
            "id": run.name, "projectId": "1", "tags": run.fields.get("tags") or [], "name": run.name,
            "displayName": run.name, "sweepName": run.fields.get("sweep"),
            "state": state, "config": run.fields.get("config") or "{}", "group": None, "jobType": None, "commit": None,
            "readOnly": False, "createdAt": None, "heartbeatAt": None, "description": None, "notes": None,
            "systemMetrics": "{}", "summaryMetrics": json.dumps(run.summary),
            "historyLineCount": len(run.lines["wandb-history.jsonl"]), "historyKeys": None,
            "user": {"name": "someone", "username": "someone"},
        }  # fmt: skip

    def _project(self, artifact):
        """Return the project of the run that made an artifact: one of another project would be a link."""
        run = self.runs.get(artifact.run)
        return PROJECT | {"name": (run and run.fields.get("project")) or PROJECT["name"]}

    def _node(self, artifact):
        place = self._project(artifact)
        sequence = {"__typename": "ArtifactSequence", "name": artifact.collection, "project": place}
        aliases = [
            {"__typename": "ArtifactAlias", "id": alias, "alias": alias,
             "artifactCollection": {"__typename": "ArtifactSequence", "name": artifact.collection, "project": place}}
            for alias in artifact.aliases
        ]  # fmt: skip
        return {
            "__typename": "Artifact", "id": artifact.id, "artifactSequence": sequence, "versionIndex": artifact.version,
            "artifactType": {"name": artifact.type}, "description": None, "metadata": artifact.metadata,
            "ttlDurationSeconds": -2, "ttlIsInherited": True, "tags": [], "historyStep": None, "state": artifact.state,
            "size": 1, "digest": artifact.digest, "commitHash": None, "fileCount": 1,
            "createdAt": "2026-11-24T00:00:00", "updatedAt": None, "aliases": aliases,
        }  # fmt: skip
