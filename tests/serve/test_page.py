"""The page at / in a real browser: what a user types is drawn, row by row, and nothing comes from elsewhere."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.serve.browser import PROGRAM, browser
from tests.serve.running import RunningServer
from tests.serve.test_images import pixels

# Fills a form in, sends it, and gives every picture and text that it shows until its button can be pressed again.
SUBMIT = """
new Promise(done => {
  const form = document.getElementById(%(form)s), image = form.querySelector("img");
  const told = form.querySelector("output");
  for (const [name, value] of Object.entries(%(fields)s)) {
    if (form[name].type === "checkbox") form[name].checked = value; else form[name].value = value;
  }
  const shown = [];
  const look = () => {
    if (image && !image.hidden && shown.at(-1) !== image.src) shown.push(image.src);
    if (!form.querySelector("button").disabled) {
      watch.disconnect();
      done({ shown, told: told.textContent, fault: told.classList.contains("fault"),
             drawn: [...form.querySelectorAll(".images img")].map(each => each.src) });
    }
  };
  const watch = new MutationObserver(look);
  form.querySelector("button").click();
  watch.observe(form, { subtree: true, childList: true, attributes: true, characterData: true });
})
"""


@pytest.mark.skipif(PROGRAM is None, reason="there is no browser here")
def test_the_page_draws_asks_and_tells_faults(server: RunningServer, tmp_path: Path) -> None:
    with browser(tmp_path) as page:

        def submit(form: str, **fields: object) -> dict[str, object]:
            result: dict[str, object] = page.run(SUBMIT % {"form": json.dumps(form), "fields": json.dumps(fields)})
            return result

        page.open(server.address)
        drawn = submit("draw", prompt="slow cat", seed=3, guidance=2.5)
        urls = [str(url) for url in drawn["shown"]]  # type: ignore[attr-defined]
        expected = server.draw("slow cat", seed=3, guidance_scale=2.5).json()["data"][0]["b64_json"]
        assert len(urls) == 4 and urls[-1] == f"data:image/png;base64,{expected}"
        whole, half = pixels(expected), pixels(urls[1].partition(",")[2])
        assert (half[:16] == whole[:16]).all() and (half[16:] == 255).all()
        with Image.open(io.BytesIO(page.picture())) as seen:
            assert len(np.unique(np.asarray(seen.convert("L")))) > 50  # the image's greys, beside black on white

        answer = submit("ask", question="<b>hé</b>", may=True)
        assert answer["told"] == "You said: <b>hé</b>" and len(answer["drawn"]) == 1  # type: ignore[arg-type]
        refused = submit("draw", prompt="odd cat")
        assert refused["fault"] and "could not be prepared" in str(refused["told"])

        requested = [event["request"]["url"] for event in page.events_of("Network.requestWillBeSent")]
        assert len(requested) >= 5 and all(url.startswith((server.address, "data:")) for url in requested)
        faults = [event["entry"]["text"] for event in page.events_of("Log.entryAdded")]
        assert [fault for fault in faults if "500" not in fault] == []
