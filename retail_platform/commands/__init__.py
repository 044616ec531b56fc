"""What the `retail` command's subcommands do; `retail_platform.cli` only parses arguments."""
