//! One file for each command.

pub mod agree;
pub mod check;
pub mod compare;
pub mod config;
pub mod init;
pub mod list;
pub mod manual;
pub mod merge;
pub mod replay;
pub mod run;
pub mod schema;
pub mod sweep;
pub mod test;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ktrial_models::config::{ConfigError, Note, assignment_without_secrets};
use ktrial_models::history::History;
use ktrial_reports::quoted;
use ktrial_scenarios::{Arm, Overrides, Scenario, Source};

use crate::arguments::{ScenarioArguments, SettingsArguments};
use crate::exit::Failure;

impl SettingsArguments {
    /// What these arguments add to a scenario.
    pub fn overrides(&self) -> Overrides {
        let files = self.files.given().map(|(scope, path)| (scope, path.to_owned()));
        Overrides {
            files: files.collect(),
            contents: Vec::new(),
            arm: None,
            assignments: self.assignments.clone(),
            allow_unmodelled: self.allow_unmodelled.clone(),
        }
    }

    /// These arguments as they are typed, each with a blank before it; without passwords, which count in no trial.
    pub fn options(&self) -> String {
        let files = self.files.given();
        let files =
            files.map(|(scope, path)| (format!("--{}-config", scope.word()), path.display().to_string()));
        let assignments = self
            .assignments
            .iter()
            .map(|text| ("--set".to_owned(), assignment_without_secrets(text)));
        let accepted = self
            .allow_unmodelled
            .iter()
            .map(|name| ("--allow-unmodelled".to_owned(), name.clone()));
        files
            .chain(assignments)
            .chain(accepted)
            .map(|(option, value)| format!(" {option} {}", quoted(&value)))
            .collect()
    }
}

impl ScenarioArguments {
    /// The scenario with what these arguments add.
    pub fn read(&self) -> Result<Scenario, Failure> {
        self.read_arm(self.arm.as_deref())
    }

    /// The same with this arm of it.
    pub fn read_arm(&self, arm: Option<&str>) -> Result<Scenario, Failure> {
        let overrides = Overrides {
            arm: arm.map(str::to_owned),
            ..self.settings.overrides()
        };
        Ok(Source::parse(&self.scenario)?.read(&overrides)?)
    }

    /// What to type to run this scenario with these settings, up to the seed.
    pub fn command(&self) -> String {
        let arm = self.arm.as_ref();
        let arm = arm.map_or_else(String::new, |name| format!(" --arm {}", quoted(name)));
        let options = self.settings.options();
        format!("ktrial run {}{arm}{options}", quoted(&self.scenario))
    }
}

/// What a user should know of the settings of some arms before reading results: warnings, then in a line for each kind
/// the names of what was set and does not simply count. [`remarks`] gives each with its reason.
pub fn condensed_remarks(arms: &[Arm]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut kinds: [(&str, BTreeSet<&str>); 5] = [
        ("replaced by the scenario", BTreeSet::new()),
        ("inert, nothing here reaches them", BTreeSet::new()),
        ("neutral, they cannot matter here", BTreeSet::new()),
        ("not modelled, and at their defaults", BTreeSet::new()),
        ("not modelled, and accepted", BTreeSet::new()),
    ];
    for arm in arms {
        for warning in arm.settings.warnings.iter().map(ToString::to_string) {
            if !lines.contains(&warning) {
                lines.push(warning);
            }
        }
        for noted in &arm.settings.noted {
            let kind = match noted.note {
                Note::Replaced(_) => 0,
                Note::Inert(_) => 1,
                Note::Neutral(_) => 2,
                Note::AtDefault => 3,
                Note::Accepted | Note::Unmodelled => 4,
            };
            kinds[kind].1.insert(&noted.name);
        }
    }
    let set = kinds.iter().filter(|(_, names)| !names.is_empty());
    lines.extend(set.map(|(kind, names)| {
        let names: Vec<&str> = names.iter().copied().collect();
        format!("set, but {kind} (`ktrial config` says why): {}", names.join(", "))
    }));
    lines
}

/// What a user should know of an arm's settings, each setting with its reason.
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

/// Reads a history, plain or gzipped.
pub fn read_history(path: &Path) -> Result<History, ConfigError> {
    let shown = path.display();
    let file = File::open(path).map_err(|error| {
        ConfigError::anywhere(
            format!("cannot read {shown}: {error}"),
            "give a file that a recorder or `ktrial run --history` wrote",
        )
    })?;
    History::read(std::io::BufReader::new(file)).map_err(|error| {
        ConfigError::anywhere(
            format!("{shown}: {error}"),
            "a history is one JSON object a line, the header first",
        )
    })
}

/// Is set when the user interrupts the command, which then ends with what it has.
pub fn interruption() -> Arc<AtomicBool> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    // A second handler cannot be set only if this process has one already; then the default one ends it.
    let _ = ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed));
    interrupted
}

/// Refuses seeds behind the greatest number there is.
pub fn seeds_exist(first: u64, count: u64) -> Result<(), ConfigError> {
    if first.checked_add(count).is_some() {
        return Ok(());
    }
    Err(ConfigError::anywhere(
        format!("--first-seed {first}: {count} seeds from there on are more than there are"),
        format!("the first one can be {} at most", u64::MAX - count),
    ))
}

/// How many threads run trials: as asked for, otherwise as many as there are cores.
pub fn worker_threads(asked: Option<usize>) -> usize {
    asked.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// Prints to standard output. A reader that has gone away is no error; anything else that takes the results away is,
/// a full disk for instance.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::Output(format!(
            "cannot write to standard output: {error}"
        ))),
        _ => Ok(()),
    }
}

/// Prints lines to standard error.
pub fn print_errors(lines: &[String]) {
    lines.iter().for_each(|line| eprintln!("{line}"));
}

/// Tells before anything runs whether a file can be written.
pub fn writable(path: &Path) -> Result<(), Failure> {
    let cannot = |reason: String| {
        Failure::Output(format!(
            "cannot write {}: {reason}; nothing was run",
            path.display()
        ))
    };
    if path.is_dir() {
        return Err(cannot("it is a folder".to_owned()));
    }
    let aside = aside(path);
    std::fs::write(&aside, b"")
        .and_then(|()| std::fs::remove_file(&aside))
        .map_err(|error| cannot(error.to_string()))
}

/// Where a file is written before it gets its name.
fn aside(path: &Path) -> PathBuf {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".part");
    aside.into()
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
    let aside = aside(path);
    let written = std::fs::write(&aside, content).and_then(|()| std::fs::rename(&aside, path));
    written.map_err(|error| Failure::Output(format!("cannot write {}: {error}", path.display())))
}
