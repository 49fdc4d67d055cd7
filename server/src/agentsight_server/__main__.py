"""`python -m agentsight` is the `agentsight` command."""

from agentsight_server.cli import main

main()
