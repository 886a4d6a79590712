"""A program of its own: draw scenes with Open3D's classic renderer, without a window.

``python offscreen.py scenes.npz pixels.npy`` is started by :mod:`pcgen.viewing.pictures`. It
imports nothing of pcgen, so that it starts fast, and may die where there is no rendering context.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

LINE_WIDTH = 2.5


def render(scenes: Any) -> NDArray[np.uint8]:
    """Pictures [K, height, width, 3] of K scenes.

    Args:
        scenes: ``intrinsic`` [3, 3], ``extrinsic`` [4, 4], ``shape`` (height, width), and for scene
            k ``vertices_k``, ``triangles_k``, ``colours_k``, ``ends_k``, ``pairs_k`` and
            ``line_colours_k``.

    Raises:
        RuntimeError: no rendering context can be had.
    """
    import open3d

    height, width = (int(number) for number in scenes["shape"])
    drawer = open3d.visualization.Visualizer()
    opened = drawer.create_window(width=width, height=height, visible=False)
    options = drawer.get_render_option()
    if not opened or options is None:
        raise RuntimeError("no rendering context")
    options.light_on, options.line_width = False, LINE_WIDTH
    options.background_color = np.ones(3)
    options.mesh_shade_option = open3d.visualization.MeshShadeOption.Color
    camera = open3d.camera.PinholeCameraParameters()
    camera.intrinsic = open3d.camera.PinholeCameraIntrinsic(width, height, scenes["intrinsic"])
    camera.extrinsic = scenes["extrinsic"]
    pictures = []
    for number in range(int(scenes["number"])):
        drawer.clear_geometries()
        for geometry in geometries(open3d, scenes, number):
            drawer.add_geometry(geometry)
        control = drawer.get_view_control()
        control.set_constant_z_near(0.1)
        control.set_constant_z_far(100.0)
        control.convert_from_pinhole_camera_parameters(camera, allow_arbitrary=True)
        pixels = np.asarray(drawer.capture_screen_float_buffer(do_render=True))
        if pixels.shape != (height, width, 3):
            raise RuntimeError(f"got a picture of {pixels.shape}, expected {height} x {width}")
        pictures.append((255 * pixels).round().astype(np.uint8))
    drawer.destroy_window()
    return np.stack(pictures)


def geometries(open3d: Any, scenes: Any, number: int) -> list[Any]:
    """Mesh and lines of one scene, without those that are empty."""
    vector, index = open3d.utility.Vector3dVector, open3d.utility.Vector3iVector
    mesh = open3d.geometry.TriangleMesh(
        vector(scenes[f"vertices_{number}"]), index(scenes[f"triangles_{number}"])
    )
    mesh.vertex_colors = vector(scenes[f"colours_{number}"])
    lines = open3d.geometry.LineSet(
        vector(scenes[f"ends_{number}"]), open3d.utility.Vector2iVector(scenes[f"pairs_{number}"])
    )
    lines.colors = vector(scenes[f"line_colours_{number}"])
    return [geometry for geometry in (mesh, lines) if not geometry.is_empty()]


if __name__ == "__main__":
    with np.load(sys.argv[1]) as file:
        np.save(sys.argv[2], render(dict(file)))
