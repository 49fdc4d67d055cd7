"""What is said when data is newer than the program."""

UPDATE = "update agentsight-server"
MADE_BY_A_NEWER_ONE = f"was made by a newer AgentSight: {UPDATE}"
