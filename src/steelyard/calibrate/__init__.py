"""What a server of a bundle takes, measured before anybody puts load on it."""

from steelyard.calibrate.make import calibrate

__all__ = ["calibrate"]
