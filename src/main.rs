//! The command line of ktrial: arguments in, exit code out.

mod arguments;
mod commands;
mod exit;
mod progress;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Command};
use crate::exit::Exit;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version go to standard output and are no error.
            let code = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Held
            };
            let _ = error.print();
            return code.into();
        }
    };
    let outcome = std::panic::catch_unwind(|| match &arguments.command {
        Command::Compare(arguments) => commands::compare::run(arguments),
        Command::Run(arguments) => commands::run::run(arguments),
        Command::Test(arguments) => commands::test::run(arguments),
        Command::Replay(arguments) => commands::replay::run(arguments),
        Command::Sweep(arguments) => commands::sweep::run(arguments),
        Command::Merge(arguments) => commands::merge::run(arguments),
        Command::Config(arguments) => commands::config::run(arguments),
        Command::Check(arguments) => commands::check::run(arguments),
        Command::Agree(arguments) => commands::agree::run(arguments),
        Command::List(arguments) => commands::list::run(arguments),
        Command::Init(arguments) => commands::init::run(arguments),
        Command::Schema(arguments) => commands::schema::run(arguments),
        Command::Completions(arguments) => commands::manual::completions(arguments),
        Command::Manual(arguments) => commands::manual::manual(arguments),
    });
    let exit = match outcome {
        Ok(Ok(exit)) => exit,
        Ok(Err(failure)) => {
            failure.print();
            failure.exit()
        }
        Err(_) => {
            eprintln!("ktrial: this is a bug in ktrial; please report the command and what it printed");
            Exit::Internal
        }
    };
    exit.into()
}
