"""64 bits made fit for a noisy way: a checksum, a convolutional code, and Viterbi's way back (Viterbi 1967)."""

from functools import cache

import numpy as np
from jaxtyping import Float, Int

__all__ = ["CODED", "crc24", "decoded", "encoded"]

BITS, CHECK = 64, 24
MEMORY = 8  # bits that the encoder remembers; as many zeros end the message
STEPS = BITS + CHECK + MEMORY
GENERATORS = (0o463, 0o535, 0o733, 0o745)  # constraint length 9, rate 1/4, free distance 24 (Larsen 1973)
CODED = STEPS * len(GENERATORS)
STATES = 1 << MEMORY
POLYNOMIAL, START = 0x864CFB, 0xB704CE  # CRC-24 of OpenPGP (RFC 4880, section 6.1)


def crc24(data: bytes) -> int:
    """The cyclic redundancy check of OpenPGP, 24 bits (RFC 4880)."""
    rest = START
    for byte in data:
        rest ^= byte << 16
        for _ in range(8):
            rest = (rest << 1) ^ (POLYNOMIAL if rest & 0x800000 else 0)
        rest &= 0xFFFFFF
    return rest


def encoded(payload: int) -> Int[np.ndarray, "n"]:
    """The CODED signs, −1 or 1, of a payload in [0, 2⁶⁴)."""
    message = (payload << CHECK) | crc24(payload.to_bytes(8, "big"))
    bits = np.array([message >> place & 1 for place in reversed(range(BITS + CHECK))] + [0] * MEMORY)
    taps = [[generator >> place & 1 for place in range(MEMORY + 1)] for generator in GENERATORS]
    out = np.stack([np.convolve(bits, tap)[:STEPS] % 2 for tap in taps], axis=1)  # tap 0: the newest bit
    return 2 * out.reshape(-1) - 1


def decoded(soft: Float[np.ndarray, "n"]) -> int | None:
    """The payload whose signs are the likeliest, None where its checksum is wrong.

    soft: CODED values, the log-likelihood ratios of 1 over −1 on any one scale.
    """
    branches = soft.reshape(STEPS, -1) @ _signs().T  # of each register of nine bits
    best = np.full(STATES, -np.inf)
    best[0] = 0
    came = np.empty((STEPS, STATES), bool)  # whether the bit that fell out of the register was 1
    for step, branch in enumerate(branches):
        ways = (best.repeat(2) + branch).reshape(2, STATES)
        came[step] = ways[1] > ways[0]
        best = ways.max(axis=0)
    state, message = 0, 0
    for step in reversed(range(STEPS)):
        message |= (state & 1) << (STEPS - 1 - step)
        state = (state | int(came[step, state]) << MEMORY) >> 1
    payload, check = divmod(message >> MEMORY, 1 << CHECK)
    return payload if crc24(payload.to_bytes(8, "big")) == check else None


@cache
def _signs() -> Float[np.ndarray, "registers generators"]:
    """What the encoder says, −1 or 1, for each content of its register, the newest bit lowest."""
    out = [[2 * ((register & g).bit_count() & 1) - 1 for g in GENERATORS] for register in range(2 * STATES)]
    return np.array(out, np.float64)
