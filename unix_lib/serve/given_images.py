"""Images that clients give: data URLs, or addresses of allowed domains; judged by their headers, then made square."""

import asyncio
import base64
import binascii
import io
from urllib.parse import urlsplit

import numpy as np
import requests

from unix_lib.images.files import MAX_ASPECT_RATIO, BadImage, check_header, square_rgb
from unix_lib.serve.errors import refused
from unix_lib.serve.limits import Share
from unix_lib.serve.settings import Limits

FETCH_SECONDS = 10.0
AT_ONCE = 2  # images decoded side by side: each may take hundreds of megabytes


class GivenImages:
    """Reads them for all requests."""

    def __init__(self, image_size: int | None, domains: tuple[str, ...], limits: Limits) -> None:
        """`image_size`: side of what is made; None refuses all images."""
        self.image_size, self.domains, self.limits = image_size, frozenset(domains), limits
        self._places = asyncio.Semaphore(AT_ONCE)

    async def read(self, url: str, param: str, share: Share) -> np.ndarray:
        """Pixels, uint8 (S, S, 3), prepared as training images are.

        Raises:
            ApiError: 400, or 429 where too much is held already.
        """
        if self.image_size is None:
            raise refused(f"{param}: the model knows no images", param, "unsupported_parameter")
        data = await asyncio.to_thread(self._bytes, url, param)
        try:
            async with self._places:
                pixels = await asyncio.to_thread(self._square, data, self.image_size)
        except BadImage as error:
            raise refused(f"{param}: {error.reason}: {error.detail}", param, "invalid_image") from None
        share.take(pixels.nbytes)
        return pixels

    def _square(self, data: bytes, size: int) -> np.ndarray:
        check_header(io.BytesIO(data), self.limits.pixels, MAX_ASPECT_RATIO)
        return square_rgb(io.BytesIO(data), size)

    def _bytes(self, url: str, param: str) -> bytes:
        if url[:5].lower() == "data:":
            head, _, payload = url.partition(",")
            if not head.lower().endswith(";base64"):
                raise refused(f"{param}: a data URL must be in base64", param, "invalid_image")
            try:
                return base64.b64decode("".join(payload.split()), validate=True)
            except (binascii.Error, ValueError):
                raise refused(f"{param}: a data URL whose base64 is damaged", param, "invalid_image") from None
        return self._fetched(url, param)

    def _fetched(self, url: str, param: str) -> bytes:
        """The file behind an address; no redirect is followed, since it could lead anywhere."""
        try:
            parts = urlsplit(url)
            allowed = parts.scheme == "https" and parts.port in (None, 443) and parts.hostname in self.domains
        except ValueError:
            allowed = False
        if not allowed:
            message = f"{param}: give the image as a data URL (data:image/png;base64,...)"
            raise refused(message, param, "image_address_not_allowed")
        try:
            with requests.get(url, timeout=FETCH_SECONDS, stream=True, allow_redirects=False) as response:
                data = response.raw.read(self.limits.body_bytes + 1, decode_content=True)
        except requests.RequestException:
            raise refused(f"{param}: the image can't be fetched", param, "image_not_fetched") from None
        if response.status_code != 200 or len(data) > self.limits.body_bytes:
            raise refused(f"{param}: status {response.status_code}, or too large", param, "image_not_fetched")
        return bytes(data)
