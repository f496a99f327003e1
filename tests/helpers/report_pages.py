"""A study for the tests that use the page in a browser, and what they look for there."""

import re
from pathlib import Path

import numpy as np
from plot_runs import momentum_grid, run

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
VIOLATIONS = "violations.map((one) => [one.id, one.nodes.length, one.nodes[0].html, one.nodes[0].failureSummary])"
GRID = [
    *momentum_grid(seeds=3),
    *(run("momentum", seed=s, learning_rate=1.0, momentum=0.9, diverged=4) for s in range(3)),
]
FILES = [f"{at:064x}" for at in range(len(GRID))]


def cell(**numbers):
    """The cell of a configuration."""
    told = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in numbers.items())
    return f'.cell[aria-label*="{told}:"]'


def legend(page):
    """What is said to be shown: each configuration's line of the legend."""
    return page.get("[...document.querySelectorAll('.legend-table tbody tr')].map((row) => row.innerText)")


def contrast(*colours):
    """Of two CSS colours, as WCAG has it."""
    lights = []
    for colour in colours:
        values = np.array([int(part) for part in re.findall(r"\d+", colour)[:3]]) / 255
        linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
        lights.append(float(linear @ [0.2126, 0.7152, 0.0722]) + 0.05)
    return max(lights) / min(lights)
