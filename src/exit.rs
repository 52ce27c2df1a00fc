//! Exit codes, and errors on their way to them.

use std::process::ExitCode;

use ktrial_models::config::ConfigError;
use ktrial_scenarios::InternalError;

/// How the command ends. Stable: scripts rely on the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All held.
    Held = 0,
    /// Something that `test` asserts did not hold, or a simulation disagrees with the recording beside it.
    Failed = 1,
    /// The command, a scenario or settings are wrong, or Kafka refuses all of them.
    Usage = 2,
    /// Something Kafka promises did not hold.
    Broken = 3,
    /// There is nothing to run.
    NothingSelected = 4,
    /// Nothing was put on trial.
    Vacuous = 5,
    /// The same manifest gave another digest.
    Diverged = 6,
    /// A bug in ktrial.
    Internal = 70,
    /// Interrupted.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Why a command could not do its work.
#[derive(Debug)]
pub enum Failure {
    /// Bad input: each with place and remedy.
    Input(Vec<ConfigError>),
    /// A file or folder that cannot be written.
    Output(String),
    /// A bug in ktrial.
    Internal(InternalError),
}

impl Failure {
    /// Prints it to standard error.
    pub fn print(&self) {
        match self {
            Failure::Input(errors) => {
                for error in errors {
                    eprintln!("error: {error}");
                }
            }
            Failure::Output(message) => eprintln!("error: {message}"),
            Failure::Internal(error) => eprintln!("{error}"),
        }
    }

    /// Its exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Failure::Input(_) | Failure::Output(_) => Exit::Usage,
            Failure::Internal(_) => Exit::Internal,
        }
    }
}

impl From<InternalError> for Failure {
    fn from(error: InternalError) -> Self {
        Failure::Internal(error)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Failure::Input(vec![error])
    }
}

impl From<Vec<ConfigError>> for Failure {
    fn from(errors: Vec<ConfigError>) -> Self {
        Failure::Input(errors)
    }
}

/// What a command returns.
pub type Outcome = Result<Exit, Failure>;
