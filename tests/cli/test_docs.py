from __future__ import annotations

import pytest

from layerkit.cli import run


def test_shows_one_page(capsys):
    assert run(["docs", "conv2d"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "A layer of the package layerkit." in printed
    assert "dilation" in printed


def test_shows_the_index_without_a_name(capsys):
    assert run(["docs"]) == 0
    assert "conv2d" in capsys.readouterr().out


def test_writes_all_pages(tmp_path, capsys):
    assert run(["docs", "--output", str(tmp_path)]) == 0
    pages = {path.name for path in tmp_path.iterdir()}
    assert {"index.md", "hooks.md", "layer-conv2d.md", "optimizer-adam.md"} <= pages
    assert capsys.readouterr().out == f"{len(pages)} pages in {tmp_path}\n"


def test_an_unknown_name_is_a_sentence(capsys):
    assert run(["docs", "wavelet"]) == 2
    assert capsys.readouterr().err == ('error: no installed component is named "wavelet"; `layerkit docs` lists them\n')


@pytest.mark.parametrize(("misspelt", "meant"), [("con2d", "conv2d"), ("Adam", "adam"), ("hook", "hooks")])
def test_a_misspelt_name_is_answered_with_the_nearest(misspelt, meant, capsys):
    assert run(["docs", misspelt]) == 2
    assert f'is named "{misspelt}"; did you mean "{meant}"?' in capsys.readouterr().err
