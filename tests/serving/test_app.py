"""The page and its server, through a real one on this computer."""

from __future__ import annotations

import http.client
import io
import json
import socket
import threading
import urllib.parse
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import imagecodecs
import numpy as np
import pytest
import tifffile
import torch
import uvicorn
from PIL import Image

from layerkit.builtin.layers.conv2d import Conv2d
from layerkit.denoising.blind import BlindDenoiser
from layerkit.denoising.denoiser import Denoiser
from layerkit.serving import app as serving
from layerkit.serving.app import application

MEGABYTES = 1


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def error(self) -> str:
        assert self.headers["content-type"] == "application/json"
        told = json.loads(self.body)
        assert list(told) == ["error"]
        return told["error"]


class Server:
    """A server on a port of its own, in a thread."""

    def __init__(self, denoiser: Denoiser) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.server = uvicorn.Server(
            uvicorn.Config(application(denoiser, MEGABYTES), log_level="error", lifespan="off")
        )
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]})
        self.thread.start()

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join()
        self.socket.close()

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def denoise(
        self, body: bytes, strength: object = 1, kind: str = "image/png", name: str = "", **headers: str
    ) -> Answer:
        query = urllib.parse.urlencode({"strength": strength, "name": name})
        return self.ask("POST", f"/denoise?{query}", body, Content_Type=kind, **headers)


def denoiser() -> Denoiser:
    """Return one that takes the mean of the picture's 3 x 3 pixels."""
    network = Conv2d(4, 4, 3, padding=1)
    network.weight.zero_()
    network.weight[range(4), range(4)] = 1 / 9
    network.bias.zero_()
    return Denoiser(network, (4, 32, 32))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server(denoiser())
    yield server
    server.close()


def noisy(mode: str = "RGB", side: int = 48, sigma: float = 20) -> Image.Image:
    channels = len(mode)
    values = 120 + sigma * np.random.default_rng(0).standard_normal((side, side + 16, channels))
    return Image.fromarray(values.round().clip(0, 255).astype(np.uint8).squeeze(), mode)


def file(image: Image.Image, name: str = "PNG", **options: object) -> bytes:
    written = io.BytesIO()
    image.save(written, name, **options)
    return written.getvalue()


def array_file(array: np.ndarray) -> bytes:
    written = io.BytesIO()
    np.save(written, array)
    return written.getvalue()


def picture(answer: Answer) -> Image.Image:
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "image/png"
    return Image.open(io.BytesIO(answer.body), formats=["PNG"])


# The page


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/", "text/html"), ("/style.css", "text/css"), ("/script.js", "text/javascript"), ("/icon.svg", "image/svg+xml")],
)
def test_the_page_is_whole_and_comes_from_here_alone(server, path, kind):
    answer = server.ask("GET", path)
    assert answer.status == 200
    assert answer.headers["content-type"].split(";")[0] == kind
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    text = answer.body.decode().replace("http://www.w3.org/2000/svg", "")
    assert text and "http://" not in text and "https://" not in text
    assert "access-control-allow-origin" not in answer.headers


def test_the_page_says_how_large_a_file_may_be(server):
    text = server.ask("GET", "/").body.decode()
    assert f'data-megabytes="{MEGABYTES}"' in text and f"at most {MEGABYTES} MB" in text and "MEGABYTES" not in text


def test_the_page_asks_for_what_is_there(server):
    import re

    text = server.ask("GET", "/").body.decode()
    asked = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert sorted(asked) == ["icon.svg", "script.js", "style.css"]
    named = set(re.findall(r'at\("(\w+)"\)', server.ask("GET", "/script.js").body.decode()))
    assert named <= set(re.findall(r'id="(\w+)"', text))


def test_there_is_nothing_else(server):
    for path in ("/app.py", "/../app.py", "/page/", "/%2e%2e/app.py", "/denoise"):
        assert server.ask("GET", path).status in (404, 405)


# A picture


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA"])
def test_a_picture_comes_back_denoised_with_what_was_found(server, mode):
    given = noisy(mode)
    answer = server.denoise(file(given))
    result = picture(answer)
    assert (result.mode, result.size) == (mode, given.size)
    before, after = (np.asarray(image).reshape(*given.size[::-1], -1).astype(float) for image in (given, result))
    assert after[..., 0].std() < 0.7 * before[..., 0].std()
    if mode.endswith("A"):
        np.testing.assert_array_equal(after[..., -1], before[..., -1])
    assert answer.headers["x-found"].startswith("Gaussian noise, about ")


def test_it_is_what_the_class_says(server):
    given = noisy()
    pixels = torch.from_numpy(np.array(given)).permute(2, 0, 1)
    for strength in (0.5, 2.5):
        expected = BlindDenoiser(denoiser(), strength).restore(pixels)
        answer = server.denoise(file(given), strength)
        np.testing.assert_array_equal(np.asarray(picture(answer)), expected.pixels.permute(1, 2, 0).numpy())
        assert answer.headers["x-found"] == str(expected)


def test_without_strength_it_is_one_and_with_none_the_picture_stays(server):
    body = file(noisy())
    assert server.ask("POST", "/denoise", body, Content_Type="image/png").body == server.denoise(body, 1).body
    answer = server.denoise(body, 0)
    np.testing.assert_array_equal(np.asarray(picture(answer)), np.asarray(noisy()))
    assert answer.headers["x-found"].endswith("; left as it is")


@pytest.mark.parametrize("name", ["JPEG", "TIFF", "WEBP", "BMP", "GIF"])
def test_other_formats(server, name):
    assert picture(server.denoise(file(noisy(), name), kind="application/octet-stream")).size == (64, 48)


def test_it_is_the_right_way_up_and_keeps_its_colours(server):
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112] = 6
    result = picture(server.denoise(file(noisy(), "JPEG", exif=exif, icc_profile=profile), kind="image/jpeg"))
    assert result.size == (48, 64)
    assert result.info["icc_profile"] == profile
    assert 0x0112 not in result.getexif()


@pytest.mark.parametrize("mode", ["P", "1", "CMYK"])
def test_other_modes(server, mode):
    name = "JPEG" if mode == "CMYK" else "PNG"
    assert picture(server.denoise(file(noisy().convert(mode), name))).size == (64, 48)


@pytest.mark.parametrize("transparent", [False, True])
def test_sixteen_bits_stay_sixteen(server, transparent):
    dtype, mode = np.uint16, "RGBA" if transparent else "RGB"
    given = np.asarray(noisy(mode)).astype(dtype) * 257
    if transparent:
        given[..., 3] = 12345
    answer = server.denoise(imagecodecs.png_encode(given))
    assert answer.status == 200, answer.body
    result = imagecodecs.png_decode(answer.body)
    assert (result.dtype, result.shape) == (dtype, given.shape)
    assert result[..., 0].std() < 0.7 * given[..., 0].std()
    assert not transparent or (result[..., 3] == 12345).all()


def test_what_a_browser_cannot_show_comes_as_sixteen_bits(server):
    values = (np.asarray(noisy()) / 255).astype(np.float32)
    for body, name in ((array_file(values), "a.npy"), (tiff_file(values), "a.tif")):
        answer = server.denoise(body, kind="application/octet-stream", name=name)
        assert answer.status == 200, answer.body
        result = imagecodecs.png_decode(answer.body)
        assert (result.dtype, result.shape) == (np.uint16, values.shape)
        inside = np.s_[4:-4, 4:-4]  # the mean of three by three is darker at the edges
        assert abs(result[inside].mean() / 65535 - values[inside].mean()) < 0.005
    answer = server.denoise(array_file(values), kind="application/octet-stream")
    assert answer.error.startswith("the picture: not a picture in a known format")


def tiff_file(values: np.ndarray) -> bytes:
    written = io.BytesIO()
    tifffile.imwrite(written, values, photometric="rgb")
    return written.getvalue()


def test_an_animation_stays_one_and_of_pages_the_first_is_taken(server):
    frames = [noisy(side=40), noisy(side=40, sigma=30)]
    options = {"save_all": True, "append_images": frames[1:], "duration": 70}
    answer = server.denoise(file(frames[0], "PNG", **options))
    assert picture(answer).n_frames == 2
    assert answer.headers["x-found"].endswith("; the first of 2 pictures")
    pages = file(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    answer = server.denoise(pages, kind="image/tiff")
    assert getattr(picture(answer), "n_frames", 1) == 1
    assert answer.headers["x-found"].endswith("; of 2 pictures in the file the first")


def test_an_error_names_the_file(server):
    assert server.denoise(b"no picture", name="my photo.nef").error.startswith("my photo.nef: ")
    assert server.denoise(b"no picture", name=200 * "a" + ".jpg").error.startswith(96 * "a" + ".jpg: ")


def test_many_at_once_get_what_each_would_get_alone(server):
    bodies = [file(noisy(mode, side)) for mode in ("RGB", "L") for side in (40, 48, 56)]
    alone = [server.denoise(body).body for body in bodies]
    together: list[bytes] = [b""] * len(bodies)

    def ask(index: int) -> None:
        together[index] = server.denoise(bodies[index]).body

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(len(bodies))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone


def test_nothing_is_written(server, tmp_path, monkeypatch):
    import tempfile

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert server.denoise(file(noisy(side=300))).status == 200
    assert list(tmp_path.iterdir()) == []


# What cannot be done


def chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def empty_png(side: int) -> bytes:
    """Return a file that promises many pixels and has none."""
    header = side.to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"")


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (b"", 400, "no picture was sent"),
        (b"no picture", 400, "the picture: not a picture in a known format (PNG, JPEG,"),
        (file(noisy())[:-2000], 400, "the picture: damaged or incomplete picture ("),
        (file(noisy(), "JPEG")[:400], 400, "the picture: damaged or incomplete picture ("),
        (array_file(np.array([object()])), 400, "the picture: "),
        (empty_png(10_000), 413, "the picture: more than 89 million pixels; make the picture smaller"),
        (empty_png(80_000), 413, "the picture: more than 89 million pixels; make the picture smaller"),
        (bytes(MEGABYTES * 1_000_000 + 1), 413, "at most 1 MB can be taken; make the file smaller"),
    ],
    ids=["empty", "text", "cut off", "cut JPEG", "objects", "huge", "bomb", "too many bytes"],
)
def test_a_broken_upload_gets_a_sentence(server, body, status, told):
    answer = server.denoise(body)
    assert answer.status == status
    assert told in answer.error
    assert "Traceback" not in answer.error


def test_an_upload_of_unknown_length_is_cut_off(server):
    sent = 0

    def chunks() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(400):
            sent += 1
            yield bytes(100_000)

    try:
        answer = server.ask("POST", "/denoise", chunks(), Content_Type="image/png")
        assert (answer.status, answer.error) == (413, "at most 1 MB can be taken; make the file smaller")
    except (BrokenPipeError, ConnectionResetError):
        assert sent < 400  # the server did not wait for the rest


@pytest.mark.parametrize(
    ("strength", "told"),
    [("much", "expected a number from 0 to 4"), ("-1", "strength"), ("5", "strength"), ("nan", "strength")],
)
def test_a_strength_that_is_none(server, strength, told):
    answer = server.denoise(file(noisy()), strength)
    assert answer.status == 400
    assert told in answer.error


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"]
)
def test_what_is_no_picture_by_its_own_word(server, kind):
    answer = server.denoise(file(noisy()), kind=kind)
    assert answer.status == 415
    assert "expected a picture file as image/... or application/octet-stream" in answer.error


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "0.0.0.0", ""])
def test_a_name_that_somebody_else_gave_this_computer(server, host):
    assert server.ask("GET", "/", Host=host).status == 400
    assert server.denoise(file(noisy()), Host=host).status == 400


def test_the_names_of_this_computer(server):
    for host in (f"127.0.0.1:{server.port}", f"localhost:{server.port}"):
        assert server.ask("GET", "/", Host=host).status == 200
        assert server.denoise(file(noisy()), Host=host, Origin=f"http://{host}").status == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
def test_a_page_from_elsewhere_may_ask_for_nothing(server, origin):
    answer = server.denoise(file(noisy()), Origin=origin)
    assert answer.status == 403
    assert f"a page of {origin} may not ask for anything here" in answer.error


def test_whoever_goes_away_is_not_worked_for(monkeypatch):
    begun, ended = threading.Event(), threading.Event()

    def endless(denoiser, body, name, strength, progress):
        begun.set()
        try:
            while True:
                progress(1, 2)
        finally:
            ended.set()

    monkeypatch.setattr(serving, "denoised_file", endless)
    server = Server(denoiser())
    try:
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        connection.request("POST", "/denoise", b"picture", {"Content-Type": "image/png"})
        assert begun.wait(60)
        connection.close()
        assert ended.wait(60)
    finally:
        server.close()
