"""`python -m agentsight` is the `agentsight` command."""

from agentsight.cli import main

main()
