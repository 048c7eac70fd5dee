"""How the help lists commands."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

#: Characters to which the summary of a command may grow.
MAX_SUMMARY = 400


class UncutSummaries(TyperGroup):
    """Show the summary of each command whole, over several lines where it needs them."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands and their summaries."""
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        visible = {name: command for name, command in commands.items() if command is not None and not command.hidden}
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.get_short_help_str(limit=MAX_SUMMARY)) for name, entry in visible.items()])
