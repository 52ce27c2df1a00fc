//! `ktrial completions` and `ktrial manual`: the command line described to shells and to `man`.

use clap::CommandFactory;

use crate::arguments::{Arguments, CompletionsArguments, ManualArguments};
use crate::commands::{output_folder, print};
use crate::exit::{Exit, Failure, Outcome};

/// Prints a completion script.
pub fn completions(arguments: &CompletionsArguments) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "ktrial", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Held)
}

/// Writes the manual: a page for the command and one for each of its commands.
pub fn manual(arguments: &ManualArguments) -> Outcome {
    let folder = output_folder(&arguments.folder)?;
    clap_mangen::generate_to(Arguments::command(), &folder)
        .map_err(|error| Failure::Output(format!("cannot write into {}: {error}", folder.display())))?;
    Ok(Exit::Held)
}
