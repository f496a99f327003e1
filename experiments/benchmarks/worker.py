"""A process that holds programs of one kind and runs them when it is told to; see measure.

Every line on standard input is a request, every line on standard output its reply, both JSON. Processes of their own
keep the frameworks' threads, devices and settings apart.
"""

import importlib
import json
import os
import sys
import time
from typing import Any, TextIO

from experiments.benchmarks.cases import Case, Ready


def main() -> None:
    """Serves requests until the input ends."""
    # What the frameworks print must not come between the replies.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    programs: dict[str, Ready] = {}
    module: Any = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["do"] == "start":
                module = importlib.import_module(f"experiments.benchmarks.{request['module']}")
                getattr(module, "configure", lambda: None)()
                reply(replies, {})
            elif request["do"] == "build":
                begin = time.perf_counter()
                ready = module.build(Case(**request["case"]), **request["options"])
                ready.run(1)
                described = ready._asdict()
                del described["run"]
                reply(replies, {"seconds": time.perf_counter() - begin - ready.choosing_seconds, **described})
                programs[request["key"]] = ready
            elif request["do"] == "drop":
                del programs[request["key"]]
                reply(replies, {})
            else:
                begin = time.perf_counter()
                programs[request["key"]].run(request["passes"])
                reply(replies, {"seconds": time.perf_counter() - begin})
        except Exception as error:  # whatever a framework raises is told, and the others go on
            reply(replies, {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"})


def reply(replies: TextIO, answer: dict[str, Any]) -> None:
    """Writes a line."""
    replies.write(json.dumps(answer) + "\n")
    replies.flush()


if __name__ == "__main__":
    main()
