"""The official Python client of the older major version (mcp 1.x) as a program of its own, since both versions of one
package cannot live in one process. It is told on its standard input what to do, a line each, and answers in lines.
"""

import asyncio
import importlib
import json
import sys
from typing import Any

# named so, since what a type checker finds under these names is the newer one
httpx: Any = importlib.import_module("httpx")
client: Any = importlib.import_module("mcp.client.streamable_http")
mcp: Any = importlib.import_module("mcp")


async def answer(session: Any, asked: dict[str, Any]) -> dict[str, Any]:
    if "tool" not in asked:
        return {"tools": [tool.model_dump(mode="json") for tool in (await session.list_tools()).tools]}
    result = await session.call_tool(asked["tool"], asked["arguments"])
    texts = [part.text for part in result.content]
    return {"is_error": result.isError, "structured": result.structuredContent, "texts": texts}


async def talk(url: str, key: str) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        httpx.AsyncClient(headers=headers, timeout=30) as http,
        client.streamable_http_client(url, http_client=http) as (read, write, _),
        mcp.ClientSession(read, write) as session,
    ):
        begun = await session.initialize()
        about = {"revision": begun.protocolVersion, "server": begun.serverInfo.name, "library": mcp.__file__}
        print(json.dumps(about), flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            try:
                said = await answer(session, json.loads(line))
            except Exception as error:  # noqa: BLE001 -- whatever it is, whoever asked gets to know
                said = {"failed": f"{type(error).__name__}: {error}"}
            print(json.dumps(said), flush=True)


if __name__ == "__main__":
    asyncio.run(talk(sys.argv[1], sys.argv[2]))
