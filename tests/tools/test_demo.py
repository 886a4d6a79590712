from __future__ import annotations

import json

import pytest

from pcgen.tools import cli


@pytest.mark.slow
def test_the_main_job_runs_end_to_end(tmp_path, capsys):
    """A few steps of training: what is tested is that everything is made, beside its floors."""
    folder = tmp_path / "demo"
    assert cli.main(["demo", "--output", str(folder), "--steps", "10", "--number", "80"]) == 0
    assert f"look at {folder / 'index.html'}" in capsys.readouterr().out
    table = (folder / "table.txt").read_text()
    assert "floor: particles" in table
    assert "floor: pixelised" in table
    page = (folder / "index.html").read_text()
    names = (
        "shipped.png",
        "shipped-histograms.png",
        "histograms.png",
        "events.png",
        "jets-0.png",
        "mean-images.png",
        "jets.html",
    )
    for name in names:
        assert name in page
        assert (folder / name).stat().st_size > 0
    stored = json.loads((folder / "evaluation.json").read_text())
    assert stored.keys() == {"flow", "latent GAN", "VAE"}
    # Ten steps teach nothing but the width, which is drawn, and the table must show it.
    far = [s["name"] for s in stored["VAE"]["scores"] if s["z"] > 3]
    assert {"W1 leading", "W1 tau2", "W1 tau21"} <= set(far)
    assert "far from the floor in" in page

    for name in ("points-latent-gan", "points-latent-gan.h5"):
        assert cli.main(["info", str(folder / name)]) == 0
    assert "recipe" in capsys.readouterr().out
