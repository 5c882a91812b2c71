"""A server as `serve` starts one, of a model that says yes and draws grey: `python tiny_server.py --port P ...`."""

import base64
import json
import sys
import time
from pathlib import Path

import numpy as np

from tests.endpoints.fake import Body, FakeEndpoint, Reply, completion
from unix_lib.images.files import png_bytes


def answer(body: Body) -> Reply:
    """Yes to a question, a grey image of a prompt."""
    if "messages" in body:
        return completion("Yes.")
    grey = base64.b64encode(png_bytes(np.full((32, 32, 3), 99, np.uint8))).decode()
    return Reply(text=json.dumps({"data": [{"b64_json": grey}]}))


if __name__ == "__main__":
    server = FakeEndpoint(answer, int(sys.argv[sys.argv.index("--port") + 1]))
    Path(sys.argv[1]).write_text(json.dumps(sys.argv[2:]))
    if "broken" in sys.argv:
        sys.exit("no such device")
    time.sleep(0.3)
    server.serve_forever()
