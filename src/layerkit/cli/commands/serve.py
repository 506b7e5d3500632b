"""``layerkit serve``."""

from __future__ import annotations

import click

NEEDS = ("starlette", "uvicorn")
HOST = "127.0.0.1"


@click.command()
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="Of this computer; 0 for a free one."
)
@click.option(
    "--max-megabytes",
    default=50,
    show_default=True,
    type=click.IntRange(min=1),
    help="Larger picture files are refused.",
)
@click.option("--tile", default=512, show_default=True, help="Side of the tiles a large picture is processed in.")
def serve(port: int, max_megabytes: int, tile: int) -> None:
    """Serve a page that denoises pictures, for browsers on this computer only.

    Drop a picture, compare before and after, set the strength, download. The network is the one inside layerkit.
    Nothing is written to disk. Ctrl-C ends it.
    """
    import socket

    from layerkit.environment import require_extra
    from layerkit.errors import UserError

    require_extra("serve", "the page needs", *NEEDS)
    import uvicorn

    from layerkit.denoising.blind import BlindDenoiser
    from layerkit.serving.app import application

    try:
        listening = socket.create_server((HOST, port))
    except OSError as error:
        raise UserError(f"--port {port}: {error.strerror or error}; give another one, or 0 for any") from None
    with listening:
        app = application(BlindDenoiser.pretrained(tile=tile).denoiser, max_megabytes)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", server_header=False))
        click.echo(f"http://{HOST}:{listening.getsockname()[1]}/ (Ctrl-C ends it)")
        server.run(sockets=[listening])
