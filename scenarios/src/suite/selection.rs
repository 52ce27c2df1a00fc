//! From the paths of a command line to scenarios.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ktrial_models::config::ConfigError;

use super::profile::PROFILES_FILE;
use crate::library::Source;

/// The scenarios that paths select, each once, in the order of the paths and by name within a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The scenarios.
    pub sources: Vec<Source>,
}

/// Why paths select nothing that can be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SelectionError {
    /// Some of the paths are wrong.
    Wrong(Vec<ConfigError>),
    /// All is well, and there is no scenario.
    Nothing,
}

impl Selection {
    /// Reads paths: files, folders with files that end in `.yaml` or `.yml` (and folders within them), and `@NAME`.
    ///
    /// # Errors
    /// A path that is not there, an unknown built-in scenario, or nothing at all.
    pub fn of(paths: &[String]) -> Result<Self, SelectionError> {
        let mut selection = Selection::default();
        let mut seen = BTreeSet::new();
        let mut wrong = Vec::new();
        for text in paths {
            let found = Source::parse(text).and_then(|source| match source {
                Source::File(path) if path.is_dir() => {
                    let mut files = Vec::new();
                    collect(&path, &mut files).map_err(|error| unreadable(&path, &error))?;
                    Ok(files.into_iter().map(Source::File).collect())
                }
                Source::File(path) => match std::fs::metadata(&path) {
                    Ok(_) => Ok(vec![Source::File(path)]),
                    Err(error) => Err(unreadable(&path, &error)),
                },
                built_in => Ok(vec![built_in]),
            });
            match found {
                Ok(sources) => {
                    let new = sources.into_iter().filter(|source| seen.insert(identity(source)));
                    selection.sources.extend(new);
                }
                Err(error) => wrong.push(error),
            }
        }
        match (wrong.is_empty(), selection.sources.is_empty()) {
            (false, _) => Err(SelectionError::Wrong(wrong)),
            (true, true) => Err(SelectionError::Nothing),
            (true, false) => Ok(selection),
        }
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> ConfigError {
    ConfigError::anywhere(
        format!("cannot read {}: {error}", path.display()),
        "give scenario files, folders of them, or @NAME for a built-in one",
    )
}

/// What two ways of naming one scenario have in common.
fn identity(source: &Source) -> String {
    match source {
        Source::BuiltIn(..) => source.shown(),
        Source::File(path) => path
            .canonicalize()
            .unwrap_or_else(|_| path.clone())
            .display()
            .to_string(),
    }
}

/// Scenario files of a folder and of the folders in it. Hidden ones, links to folders (they can form rings) and the
/// file of profiles are left out.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut entries: Vec<_> = std::fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    entries.sort_unstable_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name());
        if name.to_string_lossy().starts_with('.') || name == PROFILES_FILE {
            continue;
        }
        if entry.file_type()?.is_dir() {
            collect(&path, files)?;
        } else if path.is_file() && path.extension().is_some_and(|end| end == "yaml" || end == "yml") {
            files.push(path);
        }
    }
    Ok(())
}
