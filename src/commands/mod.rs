//! One file for each command.

pub mod check;
pub mod compare;
pub mod config;
pub mod list;

use std::io::Write;
use std::path::{Path, PathBuf};

use ktrial_models::config::catalogue::Scope;
use ktrial_scenarios::{Arm, Overrides, Scenario, Source};

use crate::arguments::ScenarioArguments;
use crate::exit::Failure;

impl ScenarioArguments {
    /// What these arguments add to a scenario.
    pub fn overrides(&self) -> Overrides {
        let files = [
            (Scope::Broker, &self.broker_config),
            (Scope::Controller, &self.controller_config),
            (Scope::Producer, &self.producer_config),
            (Scope::Consumer, &self.consumer_config),
            (Scope::Topic, &self.topic_config),
        ];
        let files = files
            .into_iter()
            .filter_map(|(scope, path)| Some((scope, path.clone()?)));
        Overrides {
            files: files.collect(),
            assignments: self.assignments.clone(),
            allow_unmodelled: self.allow_unmodelled.clone(),
        }
    }

    /// The scenario with what these arguments add.
    pub fn read(&self) -> Result<Scenario, Failure> {
        Ok(Source::parse(&self.scenario)?.read(&self.overrides())?)
    }
}

/// What a user should know of an arm's settings before reading its results.
pub fn remarks(arm: &Arm) -> Vec<String> {
    let settings = &arm.settings;
    let noted = settings.noted.iter().map(|noted| {
        format!(
            "{} {}={}: {}",
            noted.scope.word(),
            noted.name,
            noted.value,
            noted.note
        )
    });
    settings
        .warnings
        .iter()
        .map(ToString::to_string)
        .chain(noted)
        .collect()
}

/// Prints to standard output. A reader that has gone away is no error.
pub fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// A folder that can be written, made if it is not there.
pub fn output_folder(path: &Path) -> Result<PathBuf, Failure> {
    let cannot = |error: std::io::Error| {
        Failure::Output(format!(
            "cannot write into {}: {error}; nothing was run",
            path.display()
        ))
    };
    std::fs::create_dir_all(path).map_err(cannot)?;
    let probe = path.join(".ktrial-probe");
    std::fs::write(&probe, b"")
        .and_then(|()| std::fs::remove_file(&probe))
        .map_err(cannot)?;
    Ok(path.to_owned())
}

/// Writes a file whole: aside, then renamed.
pub fn write_file(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".part");
    let written = std::fs::write(&aside, content).and_then(|()| std::fs::rename(&aside, path));
    written.map_err(|error| Failure::Output(format!("cannot write {}: {error}", path.display())))
}
