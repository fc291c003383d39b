//! The command line: arguments, commands, output.
