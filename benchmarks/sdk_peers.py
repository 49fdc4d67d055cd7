"""Other SDKs doing the same, each from PyPI in an environment of its own under benchmarks/results/peers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.sdk import KEY, MESSAGE, RESULTS, Server, conversations, imports

_PEER_TRACKER = {
    "setup": f"from agentsight import ConversationTracker\n"
    f"tracker = ConversationTracker(api_key={KEY!r}, endpoint=endpoint)",
    "begin": "tracker.get_or_create_conversation("
    'conversation_id=name, customer_id="cust-1", device="mobile", language="en")',
    "human": 'tracker.track_human_message("%s %d" % (message, turn))',
    "action": 'tracker.track_action("FindRestaurants", duration_ms=40 + turn, tools_used={"city": "Zagreb"})',
    "agent": 'tracker.track_agent_message("There are %d tables at Benissimo Restaurant & Bar." % turn)',
    "send": "tracker.send_tracked_data()",
}
_LANGFUSE = {
    "setup": 'from langfuse import Langfuse\nclient = Langfuse(public_key="pk-lf-1", secret_key="sk-lf-1", '
    "base_url=endpoint, flush_interval=1000)",
    "begin": 'root = client.start_observation(name=name, metadata={"customer_id": "cust-1", "device": "mobile"})',
    "human": 'root.start_observation(name="human", input="%s %d" % (message, turn)).end()',
    "action": 'root.start_observation(name="FindRestaurants", as_type="tool", input={"city": "Zagreb"}).end()',
    "agent": 'root.start_observation(name="agent", output='
    '"There are %d tables at Benissimo Restaurant & Bar." % turn).end()',
    "send": "root.end(); client.flush()",
}
# requirement, the parts of a conversation, and the import that gives a client
PEERS = {
    "agentsight 0.0.43": ("agentsight==0.0.43", _PEER_TRACKER, "import agentsight"),
    "langfuse": ("langfuse", _LANGFUSE, "import langfuse"),
}

_CALLS = """
import json, statistics, sys, time
endpoint, message = sys.argv[1], sys.argv[2]
name, turn = "benchmark", 1
{setup}
{begin}
times = []
for _ in range(30):
    began = time.perf_counter_ns()
    for _ in range(500):
        {human}
    times.append((time.perf_counter_ns() - began) / 500)
print(json.dumps(statistics.median(times)))
import os
sys.stdout.flush()
os._exit(0)
"""


def measure(server: Server) -> dict[str, Any]:
    """Nanoseconds a call, milliseconds an import, and a conversation of 27 items, for each peer."""
    result: dict[str, Any] = {"ns_per_call": {}, "import_ms": {}, "conversations": {}}
    for name, (requirement, parts, statement) in PEERS.items():
        python = environment(requirement)
        environ = {**os.environ, "AGENTSIGHT_API_KEY": KEY, "AGENTSIGHT_API_ENDPOINT": server.endpoint}
        for label, level in ((name, None), (f"{name}, logging off", "CRITICAL")):
            if level is not None and "agentsight" not in name:
                continue
            done = subprocess.run(
                [python, "-c", _CALLS.format(**parts), server.endpoint, MESSAGE],
                env={**environ, **({"AGENTSIGHT_LOG_LEVEL": level} if level else {})},
                capture_output=True,
                text=True,
                check=True,
                cwd=RESULTS,
                timeout=300,
            )
            result["ns_per_call"][label] = json.loads(done.stdout.splitlines()[-1])
        os.environ["AGENTSIGHT_API_KEY"] = KEY  # without it this peer cannot be imported
        try:
            result["import_ms"][name] = imports(python, {name: statement}, rounds=7)[name]
            result["conversations"][name] = conversations(server, python, parts, count=20)
        finally:
            del os.environ["AGENTSIGHT_API_KEY"]
    return result


def environment(requirement: str) -> str:
    """The interpreter of an environment that has this and nothing else."""
    folder = RESULTS / "peers" / requirement.replace("==", "-")
    python = folder / "bin" / "python"
    if not (folder / ".installed").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run(
            [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check", requirement],
            check=True,
        )
        Path(folder, ".installed").touch()
    return str(python)
