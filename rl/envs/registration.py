"""Importing this file makes the environments known to ``gymnasium.make``.

Nothing else does, so that ``import gymnasium`` alone never imports diverloop. In one call it
is ``gymnasium.make("diverloop.rl.envs.registration:diverloop/MotorImagery-v0")``.
"""

from __future__ import annotations

import gymnasium

ENVIRONMENTS = {
    "diverloop/Cursor-v0": "diverloop.rl.envs.cursor:CursorEnv",
    "diverloop/MotorImagery-v0": "diverloop.rl.envs.motor_imagery:MotorImagery",
    "diverloop/Neurofeedback-v0": "diverloop.rl.envs.neurofeedback:NeurofeedbackEnv",
    "diverloop/P300Speller-v0": "diverloop.rl.envs.p300_speller:P300Speller",
    "diverloop/ReplayBandit-v0": "diverloop.rl.envs.replay_bandit:ReplayBandit",
}
"""What can be made, and where it is."""

for _name, _place in ENVIRONMENTS.items():
    # Imported twice, as by a test that clears modules, it must not warn that it overrides itself.
    if _name not in gymnasium.registry:
        gymnasium.register(id=_name, entry_point=_place)
