//! A results file being written: one whole line at a time, in the order of seeds, so that a process that is killed
//! at any instant leaves a file that the next one goes on with.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::{Results, ResultsError, SweepHeader, TRIALS_FILE, TrialLine};

/// Why a sweep cannot write into its folder.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The folder or the file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another process writes it now.
    #[error("{} is being written by another sweep; give each sweep a folder of its own", .0.display())]
    Busy(PathBuf),
    /// It is there already.
    #[error("{} is there already; --resume goes on with it, another --output begins anew", .0.display())]
    Occupied(PathBuf),
    /// It is of another sweep.
    #[error(
        "{} is of another sweep: its {what} is {held}, and this one's {asked}; choose another --output",
        path.display()
    )]
    OtherSweep {
        /// The file.
        path: PathBuf,
        /// In what they differ.
        what: &'static str,
        /// What the file says.
        held: String,
        /// What was asked for.
        asked: String,
    },
    /// It cannot be gone on with.
    #[error(transparent)]
    Results(#[from] ResultsError),
}

/// A results file being written. The file is locked for as long as this lives.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Begins a results file in `folder`, or goes on with one if `resume`; then `before` gets what is there already.
    /// A last line that is cut is taken away.
    ///
    /// # Errors
    /// The folder is in use, holds another sweep, or cannot be written.
    pub fn open(
        folder: &Path,
        header: &SweepHeader,
        resume: bool,
        mut before: impl FnMut(&TrialLine),
    ) -> Result<Self, JournalError> {
        let path = folder.join(TRIALS_FILE);
        let unwritable = |source| JournalError::Unwritable {
            path: path.clone(),
            source,
        };
        std::fs::create_dir_all(folder).map_err(unwritable)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(unwritable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JournalError::Busy(path)),
            Err(TryLockError::Error(source)) => return Err(unwritable(source)),
        }
        let empty = file.metadata().map_err(unwritable)?.len() == 0;
        if !empty && !resume {
            return Err(JournalError::Occupied(path));
        }
        let whole = if empty {
            0
        } else {
            let again = file.try_clone().map_err(unwritable)?;
            read_again(Results::read(path.clone(), again), &path, header, &mut before)?
        };
        let mut journal = Journal { path, file };
        journal.cut_at(whole)?;
        if whole == 0 {
            journal.append(&header.to_text())?;
        }
        Ok(journal)
    }

    fn cut_at(&mut self, whole: u64) -> Result<(), JournalError> {
        let cut = self
            .file
            .set_len(whole)
            .and_then(|()| self.file.seek(SeekFrom::Start(whole)));
        cut.map(|_| ()).map_err(|source| self.unwritable(source))
    }

    fn unwritable(&self, source: std::io::Error) -> JournalError {
        JournalError::Unwritable {
            path: self.path.clone(),
            source,
        }
    }

    /// Appends the next trial.
    ///
    /// # Errors
    /// The file cannot be written; what was appended before stays.
    pub fn trial(&mut self, line: &TrialLine) -> Result<(), JournalError> {
        self.append(&line.to_text())
    }

    fn append(&mut self, text: &str) -> Result<(), JournalError> {
        let written = self.file.write_all(text.as_bytes());
        written.map_err(|source| self.unwritable(source))
    }

    /// Takes the file away again: what it was to hold turned out to be wrong.
    ///
    /// # Errors
    /// It stays.
    pub fn discard(self) -> Result<(), JournalError> {
        std::fs::remove_file(&self.path).map_err(|source| self.unwritable(source))
    }

    /// Waits until the disk has everything.
    ///
    /// # Errors
    /// It has not.
    pub fn finish(self) -> Result<(), JournalError> {
        self.file.sync_all().map_err(|source| self.unwritable(source))
    }
}

/// Reads what a killed sweep left and returns how many of its bytes count.
fn read_again(
    mut results: Results,
    path: &Path,
    header: &SweepHeader,
    before: &mut impl FnMut(&TrialLine),
) -> Result<u64, JournalError> {
    let held = match results.header() {
        Err(ResultsError::Cut { .. }) => return Ok(0),
        header => header?,
    };
    if let Some((what, held, asked)) = held.difference(header) {
        return Err(JournalError::OtherSweep {
            path: path.to_owned(),
            what,
            held,
            asked,
        });
    }
    let mut seeds = header.own_seeds().into_iter().flat_map(|seeds| seeds.all());
    loop {
        match results.trial(seeds.next()) {
            Ok(Some(line)) => before(&line),
            Ok(None) | Err(ResultsError::Cut { .. }) => return Ok(results.whole()),
            Err(error) => return Err(error.into()),
        }
    }
}
