"""The fixtures of the system tests, for the tests with other people's programs."""

import importlib.util
import pathlib

_file = pathlib.Path(__file__).resolve().parents[1] / "system" / "conftest.py"
_spec = importlib.util.spec_from_file_location("system_conftest", _file)
_system = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_system)
globals().update({name: value for name, value in vars(_system).items() if not name.startswith("_")})
