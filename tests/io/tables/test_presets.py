"""Each preset reads a small file of its layout as what was put into it."""

from __future__ import annotations

import math
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from written_tables import write_jagged

from pcgen import clouds as pc
from pcgen import io
from pcgen.errors import ArgumentError, FileError
from pcgen.io.tables import presets

SIZES = [3, 0, 2, 5]
RNG = np.random.default_rng(0)


def lists(*names, low=-1.0, high=1.0):
    """Random numbers for the points of the events."""
    return {name: [RNG.uniform(low, high, n).astype("f4") for n in SIZES] for name in names}


def whole(*values, sizes=SIZES):
    """Some of these whole numbers for the points of the events."""
    return [RNG.choice(values, n).astype("i4") for n in sizes]


def read(path, word, options=None):
    preset, collection = presets.load(word)
    with io.open_file(path, columns=preset.columns(collection, options)) as source:
        found = pc.concat(list(source.blocks(3)))
        assert source.attrs == {"preset": preset.name}
        return found, source.schema


def flat(values):
    return torch.from_numpy(np.concatenate(values).astype("f8"))


def same(found, *columns):
    torch.testing.assert_close(found.double(), torch.stack([flat(each) for each in columns], 1))


def kinds(schema, found, name):
    """Names of the categories of a feature."""
    column = [feature.name for feature in schema.features].index(name)
    names = schema.features[column].categories
    return [names[int(k)] for k in found.x[:, column]]


def units(schema):
    return [(q.name, q.unit) for q in (*schema.axes, *((schema.weight,) if schema.weight else ()))]


JETS = [("eta_rel", ""), ("phi_rel", "rad"), ("pt", "GeV")]


@pytest.mark.parametrize("version", [1, 2])
def test_jetclass(tmp_path, version):
    values = lists("part_px", "part_py", "part_pz", "part_deta", "part_dphi")
    values |= lists("part_d0val", "part_d0err", "part_dzval", "part_dzerr")
    values["part_charge"] = [np.array(each, "f4") for each in whole(-1, 0, 1)]
    kind = whole(0, 1, 2, 3, 4)
    names = ("ChargedHadron", "NeutralHadron", "Photon", "Electron", "Muon")
    for number, name in enumerate(names):
        values[f"part_is{name}"] = [(each == number).astype("i4") for each in kind]
    label = np.array([9, 0, 3, 1])
    single = {"jet_pt": np.array([5.0, 6, 7, 8]), "jet_eta": np.zeros(4)}
    classes = ("QCD", "Hbb", "Hcc", "Hgg", "H4q", "Hqql", "Zqq", "Wqq", "Tbqq", "Tbl")
    if version == 1:
        single |= {f"label_{name}": (label == k).astype("i4") for k, name in enumerate(classes)}
    else:
        single["jet_label"] = label
    path = write_jagged(tmp_path, "root" if version == 1 else "parquet", values, single)
    found, schema = read(path, "jetclass")
    same(found.pos, values["part_deta"], values["part_dphi"])
    pt = [np.hypot(x, y) for x, y in zip(values["part_px"], values["part_py"], strict=True)]
    torch.testing.assert_close(found.weight.double(), flat(pt))
    assert (units(schema), schema.periods) == (JETS, (None, 2 * math.pi))
    shown = ("charged hadron", "neutral hadron", "photon", "electron", "muon")
    assert kinds(schema, found, "kind") == [shown[k] for k in np.concatenate(kind)]
    charges = [str(int(q)) for q in np.concatenate(values["part_charge"])]
    assert kinds(schema, found, "charge") == charges
    same(found.x[:, 2:4], values["part_d0val"], values["part_d0err"])
    assert found.label.tolist() == label.tolist()
    assert schema.labels == (classes if version == 1 else ())
    assert found.y[:, 0].tolist() == [5, 6, 7, 8]


def pfnano(tmp_path):
    """Events with candidates and jets of them, and which candidates are in which jet."""
    values = lists("PFCands_eta", "PFCands_d0", "PFCands_dz") | lists("PFCands_pt", low=1, high=9)
    values["PFCands_phi"] = [RNG.uniform(-math.pi, math.pi, n).astype("f4") for n in SIZES]
    values["PFCands_charge"] = whole(-1, 0, 1)
    values["PFCands_pdgId"] = whole(-211, 130, 22, 310)
    members = [[(0, 2), (0, 0), (1, 1), (1, -1)], [], [(0, 1)], [(1, 4), (0, 0), (1, 3)]]
    for name, jets in (("FatJet", [2, 0, 1, 2]), ("Jet", [1, 0, 0, 0])):
        values |= {f"{name}_pt": [100.0 + np.arange(n) for n in jets]}
        values |= {f"{name}_eta": [RNG.uniform(-1, 1, n) for n in jets]}
        values |= {f"{name}_phi": [np.full(n, 3.1) for n in jets]}
        links = members if name == "FatJet" else [[(0, 1)], [], [], []]
        values[f"{name}PFCands_jetIdx"] = [np.array([j for j, _ in row], "i4") for row in links]
        values[f"{name}PFCands_pFCandsIdx"] = [np.array([c for _, c in row], "i4") for row in links]
    return write_jagged(tmp_path, "root", values, {}), values


def test_pfnano(tmp_path):
    path, values = pfnano(tmp_path)
    found, schema = read(path, "pfnano")
    assert pc.sizes(found).tolist() == [2, 1, 1, 1, 2]
    chosen = [(0, 0, 2), (0, 0, 0), (0, 1, 1), (2, 0, 1), (3, 0, 0), (3, 1, 4), (3, 1, 3)]
    for row, (event, jet, cand) in enumerate(chosen):
        eta = values["PFCands_eta"][event][cand] - values["FatJet_eta"][event][jet]
        phi = values["PFCands_phi"][event][cand] - 3.1
        phi -= 2 * math.pi * round(phi / (2 * math.pi))
        assert found.pos[row].tolist() == pytest.approx([eta, phi], abs=1e-6)
        assert found.weight[row].item() == values["PFCands_pt"][event][cand]
        pdg = str(values["PFCands_pdgId"][event][cand])
        assert kinds(schema, found, "pdg")[row] == (pdg if pdg != "310" else "other")
    assert found.y[:, 0].tolist() == [100, 101, 100, 100, 101]
    assert units(schema) == JETS
    assert pc.sizes(read(path, "pfnano:Jet")[0]).tolist() == [1]
    hard, _ = read(path, "pfnano", {"where": ["FatJet_pt > 100.5", "PFCands_pt > 0"]})
    assert pc.sizes(hard).tolist() == [1, 2]


def test_pfnano_event_and_nanoaod(tmp_path):
    path, values = pfnano(tmp_path)
    found, schema = read(path, "pfnano-event")
    same(found.pos, values["PFCands_eta"], values["PFCands_phi"])
    assert pc.sizes(found).tolist() == SIZES
    same(found.x[:, 2:], values["PFCands_d0"], values["PFCands_dz"])
    assert [feature.unit for feature in schema.features] == ["", "", "cm", "cm"]
    for word, name in (("nanoaod", "Jet"), ("nanoaod:FatJet", "FatJet")):
        found, schema = read(path, word)
        same(found.pos, values[f"{name}_eta"], values[f"{name}_phi"])
        same(found.weight[:, None], values[f"{name}_pt"])
        assert units(schema) == [("eta", ""), ("phi", "rad"), ("pt", "GeV")]
    with pytest.raises(ArgumentError, match=r"no column Tau_eta.*; --preset pfnano, .*nanoaod"):
        read(path, "nanoaod:Tau")


def test_delphes(tmp_path):
    sizes = {"Track": [2, 0, 1], "Photon": [1, 1, 0], "NeutralHadron": [0, 2, 1]}
    values = {}
    for name, numbers in sizes.items():
        pt = "PT" if name == "Track" else "ET"
        for column in ("Eta", "Phi", pt, "D0", "DZ"):
            rows = [RNG.uniform(0.1, 1, n).astype("f4") for n in numbers]
            values[f"EFlow{name}.{column}"] = rows
    values["EFlowTrack.Charge"] = whole(-1, 1, sizes=sizes["Track"])
    values["EFlowTrack.PID"] = whole(11, -13, 211, sizes=sizes["Track"])
    found, schema = read(write_jagged(tmp_path, "root", values, {}), "delphes")
    assert pc.sizes(found).tolist() == [3, 3, 2]
    row = 0
    for event in range(3):
        for name, numbers in sizes.items():
            for place in range(numbers[event]):
                pt = "PT" if name == "Track" else "ET"
                eta, phi, weight = (
                    values[f"EFlow{name}.{column}"][event][place] for column in ("Eta", "Phi", pt)
                )
                assert found.pos[row].tolist() == [eta, phi]
                assert found.weight[row].item() == weight
                pid = values["EFlowTrack.PID"][event][place] if name == "Track" else 0
                expected = {"Photon": "22", "NeutralHadron": "130"}.get(name, str(pid))
                known = expected if expected != "211" else "other"
                assert kinds(schema, found, "pdg")[row] == known
                row += 1
    assert units(schema) == [("eta", ""), ("phi", "rad"), ("pt", "GeV")]
    with pytest.raises(
        ArgumentError, match="weight: was given, but the preset delphes has several"
    ):
        read(tmp_path / "jagged.root", "delphes", {"weight": "EFlowTrack.PT"})


HITS = [("x", "mm"), ("y", "mm"), ("z", "mm"), ("energy", "GeV")]


def test_edm4hep(tmp_path):
    axes = [f"H.position.{axis}" for axis in "xyz"]
    hits = lists(*axes, low=-900, high=900) | lists("H.energy", "H.time", low=0, high=1)
    path = write_jagged(tmp_path, "root", hits, {})
    found, schema = read(path, "edm4hep:H")
    same(found.pos, *(hits[axis] for axis in axes))
    assert (units(schema), [f.label for f in schema.features]) == (HITS, ["time [ns]"])
    del hits["H.time"]  # as SimCalorimeterHit
    found, schema = read(write_jagged(tmp_path, "root", hits, {}), "edm4hep:H")
    assert (units(schema), schema.features) == (HITS, ())
    tracker = {n.replace("energy", "eDep"): each for n, each in hits.items()} | lists("H.time")
    tracker |= lists("H.momentum.x", "H.momentum.y", "H.momentum.z")
    found, schema = read(write_jagged(tmp_path, "root", tracker, {}), "edm4hep:H")
    same(found.weight[:, None], tracker["H.eDep"])
    steps = {n.replace("position", "stepPosition"): each for n, each in hits.items()}
    path = write_jagged(tmp_path, "root", steps | lists("H.time"), {})
    assert units(read(path, "edm4hep:H")[1]) == HITS
    names = [f"ReconstructedParticles.momentum.{axis}" for axis in "xyz"]
    momenta = lists(*names)
    momenta["ReconstructedParticles.charge"] = whole(-1, 0, 1, 2)
    momenta[names[0]][0][1] = momenta[names[1]][0][1] = 0  # without pseudorapidity
    found, schema = read(write_jagged(tmp_path, "root", momenta, {}), "edm4hep")
    assert pc.sizes(found).tolist() == [2, 0, 2, 5]
    px, py, pz = (flat(momenta[name]) for name in names)
    pt = torch.hypot(px, py)
    torch.testing.assert_close(found.weight.double(), pt[pt > 0])
    eta = torch.asinh(pz / pt)[pt > 0]
    torch.testing.assert_close(found.pos[:, 0].double(), eta, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found.pos[:, 1].double(), torch.atan2(py, px)[pt > 0])
    charge = [
        c if c != "2" else "other"
        for c in map(str, np.concatenate(momenta["ReconstructedParticles.charge"]))
    ]
    assert kinds(schema, found, "charge") == [
        c for c, good in zip(charge, pt > 0, strict=True) if good
    ]


def test_trackml(tmp_path):
    for number, rows in enumerate(([(1, -2.5, 3, 7, 2, 1)], [(0.5, 0, 1, 18, 12, 3)] * 2)):
        text = "hit_id,x,y,z,volume_id,layer_id,module_id\n"
        text += "".join(f"{k},{','.join(map(str, row))}\n" for k, row in enumerate(rows))
        (tmp_path / f"event00000{number + 1000}-hits.csv").write_text(text)
        (tmp_path / f"event00000{number + 1000}-cells.csv").write_text("hit_id,ch0\n")
    found, schema = read(tmp_path / "event%09d-hits.csv", "trackml")
    assert found.ptr.tolist() == [0, 1, 3]
    assert found.pos.tolist() == [[1, -2.5, 3], [0.5, 0, 1], [0.5, 0, 1]]
    assert kinds(schema, found, "volume") == ["7", "18", "18"]
    assert kinds(schema, found, "layer") == ["2", "12", "12"]
    assert (units(schema), schema.weight) == (HITS[:3], None)


def four_momenta(sizes, most):
    """Padded four-momenta E, px, py, pz [B, most, 4] around a direction of each jet."""
    axis = RNG.normal(size=(len(sizes), 1, 3)) * 50
    p = axis + RNG.normal(size=(len(sizes), most, 3)) * 5
    p[np.arange(most) >= np.array(sizes)[:, None]] = 0
    return np.concatenate([np.linalg.norm(p, axis=2, keepdims=True), p], 2).astype("f4")


def test_topquark(tmp_path):
    sizes = [3, 200, 1]
    momenta = four_momenta(sizes, 200)
    row = np.dtype([("index", "i8"), ("values_block_0", "f4", 804), ("values_block_1", "i8", 2)])
    records = np.zeros(3, row)
    records["values_block_0"][:, :800] = momenta.reshape(3, 800)
    records["values_block_1"] = [(0, 1), (0, 0), (1, 1)]
    with h5py.File(tmp_path / "train.h5", "w") as file:
        file.create_dataset("table/table", data=records, compression="gzip")
    found, schema = read(tmp_path / "train.h5", "topquark")
    assert pc.sizes(found).tolist() == sizes
    assert found.label.tolist() == [1, 0, 1]
    assert (schema.labels, units(schema)) == (("QCD", "top"), JETS)
    px, py, pz = momenta[..., 1:].astype("f8").sum(1).T
    pt = np.hypot(px, py)
    torch.testing.assert_close(found.y[:, 0].double(), torch.from_numpy(pt), rtol=1e-5, atol=1e-4)
    for jet in range(3):
        kept = momenta[jet, : sizes[jet], 1:].astype("f8")
        eta = np.arcsinh(kept[:, 2] / np.hypot(kept[:, 0], kept[:, 1])) - np.arcsinh(pz / pt)[jet]
        phi = np.arctan2(kept[:, 1], kept[:, 0]) - np.arctan2(py, px)[jet]
        phi -= 2 * np.pi * np.round(phi / (2 * np.pi))
        cloud = pc.select(found, [jet])
        expected = torch.from_numpy(np.stack([eta, phi], 1))
        torch.testing.assert_close(cloud.pos.double(), expected, rtol=1e-4, atol=1e-4)


def test_quarkgluon(tmp_path):
    x = np.zeros((3, 4, 4))
    x[0, :2] = [(2, 1.0, 3.1, 211), (2, 2.0, -3.1, 22)]  # on both sides of pi
    x[1, :1] = [(5, -1.0, 0.5, 2112)]
    x[2] = [(k + 1, k, 0.1 * k, (11, -11, 13, 3122)[k]) for k in range(4)]
    np.savez(tmp_path / "QG_jets.npz", X=x, y=np.array([1.0, 0, 1]))
    found, schema = read(tmp_path / "QG_jets.npz", "quarkgluon")
    assert pc.sizes(found).tolist() == [2, 1, 4]
    half = math.pi - 3.1
    expected = [(-0.5, -half), (0.5, half), (0, 0)]
    for got, wanted in zip(found.pos[:3].tolist(), expected, strict=True):
        assert got == pytest.approx(wanted, abs=1e-9)
    weight = np.arange(1, 5) / 10
    assert found.pos[3:, 0].tolist() == pytest.approx(
        list(np.arange(4) - (weight * np.arange(4)).sum())
    )
    assert found.label.tolist() == [1, 0, 1]
    assert kinds(schema, found, "pdg") == ["211", "22", "2112", "11", "-11", "13", "other"]
    assert [axis.name for axis in schema.axes] == ["y_rel", "phi_rel"]


TESTED = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}


def test_every_preset_has_a_test_and_is_named_in_the_help():
    covered = {name.replace("-", "_") for name in presets.names()} - TESTED
    assert covered == {"pfnano_event", "nanoaod", "hepmc"}  # the first two in one; test_hepmc.py
    from pcgen.conversion import convert

    words = " ".join((convert.__doc__ or "").split())
    assert all(f" {name}" in words for name in presets.names())


def test_a_preset_of_ones_own(tmp_path):
    path = write_jagged(tmp_path, "root", lists("a", "b") | lists("E", low=0, high=1), {})
    own = tmp_path / "mine.yaml"
    own.write_text('pos: [a, "b:mm"]\nweight: E*1000:MeV\n')
    found, schema = read(path, str(own))
    assert pc.sizes(found).tolist() == SIZES
    assert schema.weight.label == "E [MeV]"
    own.write_text('collection: a\npos: ["{collection}:mm"]\n')
    assert read(path, f"{own}:b")[1].axes[0].name == "b"
    for text, error, message in (
        ("pos: [a\n", FileError, "mine.yaml: is no YAML"),
        ("- a\n", FileError, r"mine.yaml: got \['a'\], expected keys and values"),
        ("poss: [a]\n", ArgumentError, "got the key poss, did you mean pos?"),
        ("weight: E\n", ArgumentError, "pos: got none, expected the columns of the coordinates"),
        ("pos: [a]\nmembers: {jets: J_}\n", ArgumentError, "expected jets, owner, index"),
        ("pos: [a]\nweight: 5\n", ArgumentError, "weight: got '5', expected a name for the number"),
        ("pos: [a]\nx: [{kind: {p: a}}]\n", ArgumentError, "expected a column for each category"),
        ("pos: [a]\naxis: sum\n", ArgumentError, "axis: got .*expected a momentum to sum"),
        ("pos: [a, b]\naxis: [c]\n", ArgumentError, "axis: got .*a column for each coordinate"),
        ("momentum: [a, b]\n", ArgumentError, "momentum: got 2 columns, expected px,py,pz:GeV"),
        ("pos: [a]\nparts: [{weight: E}, {}]\n", ArgumentError, "parts: got different quantities"),
    ):
        own.write_text(text)
        with pytest.raises(error, match=message) as caught:
            read(path, str(own))
        assert "\n" not in str(caught.value)


def test_an_unknown_preset_lists_those_that_there_are():
    with pytest.raises(
        ArgumentError, match=r"preset: got 'jetklass', expected a file \.yaml"
    ) as caught:
        presets.load("jetklass")
    assert all(
        f"{name} ({presets.shipped(name).about})" in str(caught.value) for name in presets.names()
    )
    with pytest.raises(ArgumentError, match="trackml has no collection to choose"):
        presets.load("trackml:hits")
    with pytest.raises(FileError, match=r"none\.yaml: no such file"):
        presets.load("none.yaml")


def test_presets_that_fit_are_found_with_their_collections(tmp_path):
    path, _ = pfnano(tmp_path)
    from pcgen.io.tables.summary import summaries

    (table,) = summaries(path)
    assert list(table.presets) == [
        "pfnano", "pfnano:Jet", "pfnano-event", "nanoaod:PFCands", "nanoaod:FatJet", "nanoaod",
    ]  # fmt: skip
    assert (table.name, table.rows) == ("events", 4)
    assert Path(presets.FOLDER / "pfnano.yaml").read_text() == presets.text("pfnano")
