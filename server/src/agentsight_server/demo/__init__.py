"""Sample data: several agents over ninety days, made up from a seed, and new conversations while you watch."""

from agentsight_server.demo.generate import AGENT_NAMES, generate, next_conversation

__all__ = ["AGENT_NAMES", "generate", "next_conversation"]
