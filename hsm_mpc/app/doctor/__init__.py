"""`doctor`: every precondition of a holder, one finding each, with the mend."""

from __future__ import annotations

from hsm_mpc.app.doctor.diagnosis import diagnose, of_running
from hsm_mpc.app.doctor.findings import Diagnosis, Finding

__all__ = ["Diagnosis", "Finding", "diagnose", "of_running"]
