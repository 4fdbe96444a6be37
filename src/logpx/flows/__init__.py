"""Named normalizing flows."""

from logpx.flows.continuous import AdaptiveSolver, FixedStepSolver
from logpx.flows.flow_matching import FlowMatching
from logpx.flows.glow import Glow
from logpx.flows.maf import IAF, MAF
from logpx.flows.mint_net import MintNet
from logpx.flows.nice import NICE
from logpx.flows.nsf import NSF
from logpx.flows.realnvp import RealNVP

__all__ = [
    "IAF",
    "MAF",
    "NICE",
    "NSF",
    "AdaptiveSolver",
    "FixedStepSolver",
    "FlowMatching",
    "Glow",
    "MintNet",
    "RealNVP",
]
