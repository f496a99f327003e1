"""The bar in a notebook: an element that is drawn again in its place, for which no widgets are needed."""

import html
import time
from typing import Any


class NotebookBar:
    """Epochs done, time, and a text; drawn at most four times a second."""

    SECONDS = 0.25

    def __init__(self) -> None:
        self.begun, self.drawn = time.monotonic(), 0.0
        self.handle: Any = None
        self.state: tuple[int, int, str] | None = None

    def show(self, done: int, total: int, text: str) -> None:
        """What is to be seen; perhaps not at once."""
        self.state = done, total, text
        if time.monotonic() - self.drawn > self.SECONDS:
            self.draw()

    def draw(self) -> None:
        """Draws what was shown last, if anything was."""
        if self.state is None:
            return
        import IPython.display  # only a notebook has it

        display: Any = IPython.display.display
        done, total, text = self.state
        self.drawn = time.monotonic()
        seconds = self.drawn - self.begun
        left = f", {seconds * (total - done) / done:.0f} s left" if 0 < done < total else ""
        line = f"epoch {done}/{total}: {text}; {seconds:.0f} s{left}"
        bar = f'<progress value="{done}" max="{total}" aria-label="epochs"></progress> {html.escape(line)}'
        shown = {"text/plain": line, "text/html": bar}
        if self.handle is None:
            self.handle = display(shown, raw=True, display_id=True)
        else:
            self.handle.update(shown, raw=True)
