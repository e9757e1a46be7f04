"""The screen of `sluice top` under signals."""

import subprocess
import sys

DEADLINE_S = 120
# A resize arrives before each line that `wait` runs, in its own code and in the library's.
PROGRAM = """
import signal, sys
from gateway.commands.top.screen import Screen

def resize_before(frame, event, _):
    if event == "line" and "hear_resize" not in frame.f_code.co_name and not handling:
        handling.append(frame)
        signal.raise_signal(signal.SIGWINCH)
        handling.clear()
    return resize_before

handling = []
screen = Screen()
with screen.open():
    sys.settrace(resize_before)
    resized = screen.wait(3600)
    sys.settrace(None)
sys.exit(not resized)
"""


def test_a_resize_is_heard_in_every_moment() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=DEADLINE_S)
