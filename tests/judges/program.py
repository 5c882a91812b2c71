"""A judge of its own process for tests: the scene detector, or one with a fault that its argument names."""

import base64
import io
import json
import sys
import time

import numpy as np
from PIL import Image

from unix_lib.judges.detector import Detector


def main(fault: str) -> None:
    for line in sys.stdin:
        request = json.loads(line)
        image = np.asarray(Image.open(io.BytesIO(base64.b64decode(request["image"]))))
        if fault == "dies":
            print("no such model", file=sys.stderr)
            sys.exit(3)
        if fault == "hangs":
            time.sleep(60)
        if fault == "babbles":
            print("Sure! Here is what I see.", flush=True)
        elif fault == "other form":
            print(json.dumps({"objects": [{"class": "circle"}]}), flush=True)
        elif fault == "says it twice":
            print(2 * (json.dumps({"objects": []}) + "\n"), end="", flush=True)
        elif fault == "noisy":
            print("loading " * 100_000, file=sys.stderr, flush=True)
            print(json.dumps({"objects": []}), flush=True)
        elif request["question"] == "objects":
            print(json.dumps({"objects": objects_in(image)}), flush=True)
        else:
            print(json.dumps({"answer": f"{request['question']} {image.shape}"}), flush=True)


def objects_in(image: np.ndarray) -> list[dict[str, object]]:
    """What the scene detector finds, as a reply has it."""
    return [
        {
            "class": found.name,
            "color": found.color,
            "size": found.size,
            "box": found.box,
            "confidence": found.confidence,
        }
        for found in Detector.for_scenes(len(image)).detect(image)
    ]


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")
