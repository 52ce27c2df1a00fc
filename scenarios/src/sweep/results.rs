//! Reading results files: a header, then one line for each trial in the order of seeds.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::{SWEEP_SCHEMA, SweepHeader, TRIAL_SCHEMA, TrialLine};

/// The results file in a sweep's folder.
pub const TRIALS_FILE: &str = "trials.jsonl";

/// No line is longer, in bytes: a trial has at most some hundred witnesses.
const LONGEST_LINE: u64 = 16 << 20;

/// Why a results file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Its last line is cut.
    #[error(
        "{}, line {line}: the line is cut, the sweep was killed while it wrote; `ktrial sweep --resume` with the \
         same arguments goes on with it",
        path.display()
    )]
    Cut {
        /// The file.
        path: PathBuf,
        /// The line, from 1 on.
        line: u64,
    },
    /// A line is not what it must be.
    #[error("{}, line {line}: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1 on.
        line: u64,
        /// What is wrong, and what was expected.
        problem: String,
    },
}

/// A results file being read.
pub struct Results<R = File> {
    path: PathBuf,
    reader: BufReader<R>,
    line: u64,
    whole: u64,
    text: Vec<u8>,
}

impl Results<File> {
    /// Opens the results of a sweep's folder.
    ///
    /// # Errors
    /// There are none.
    pub fn open(folder: &Path) -> Result<Self, ResultsError> {
        let path = folder.join(TRIALS_FILE);
        match File::open(&path) {
            Ok(file) => Ok(Self::read(path, file)),
            Err(source) => Err(ResultsError::Unreadable { path, source }),
        }
    }
}

impl<R: Read> Results<R> {
    /// Reads from `source`; `path` names it in messages.
    pub fn read(path: PathBuf, source: R) -> Self {
        Results {
            path,
            reader: BufReader::new(source),
            line: 0,
            whole: 0,
            text: Vec::new(),
        }
    }

    /// How many bytes the lines read so far have.
    pub fn whole(&self) -> u64 {
        self.whole
    }

    /// The header.
    ///
    /// # Errors
    /// The file has none.
    pub fn header(&mut self) -> Result<SweepHeader, ResultsError> {
        let expected = "the header of a sweep";
        if !self.read_line()? {
            self.line += 1;
            return Err(self.malformed(format!("the file is empty; expected {expected}")));
        }
        let header: SweepHeader = serde_json::from_slice(&self.text)
            .map_err(|error| self.malformed(format!("expected {expected}: {error}")))?;
        if header.schema != SWEEP_SCHEMA {
            let problem = format!("the schema is {:?}, not {SWEEP_SCHEMA:?}", header.schema);
            return Err(self.malformed(problem));
        }
        Ok(header)
    }

    /// The next trial, which must be that of `seed`; none at the end of the file.
    ///
    /// # Errors
    /// The line is cut or is something else.
    pub fn trial(&mut self, seed: Option<u64>) -> Result<Option<TrialLine>, ResultsError> {
        if !self.read_line()? {
            return Ok(None);
        }
        let trial: TrialLine = serde_json::from_slice(&self.text)
            .map_err(|error| self.malformed(format!("expected a trial: {error}")))?;
        if trial.schema != TRIAL_SCHEMA {
            let problem = format!("the schema is {:?}, not {TRIAL_SCHEMA:?}", trial.schema);
            return Err(self.malformed(problem));
        }
        if seed != Some(trial.seed) {
            let expected = seed.map_or("the end of the file".to_owned(), |seed| format!("seed {seed}"));
            return Err(self.malformed(format!("seed {} where {expected} was expected", trial.seed)));
        }
        if let Some(finding) = trial
            .findings
            .iter()
            .find(|finding| finding.violation().is_none())
        {
            return Err(self.malformed(format!("no such violation: {:?}", finding.invariant)));
        }
        Ok(Some(trial))
    }

    fn malformed(&self, problem: String) -> ResultsError {
        ResultsError::Malformed {
            path: self.path.clone(),
            line: self.line,
            problem,
        }
    }

    /// False at the end of the file.
    fn read_line(&mut self) -> Result<bool, ResultsError> {
        self.text.clear();
        let mut limited = self.reader.by_ref().take(LONGEST_LINE);
        let read = limited.read_until(b'\n', &mut self.text);
        let read = read.map_err(|source| ResultsError::Unreadable {
            path: self.path.clone(),
            source,
        })?;
        if read == 0 {
            return Ok(false);
        }
        self.line += 1;
        if self.text.last() != Some(&b'\n') {
            if read as u64 == LONGEST_LINE {
                return Err(self.malformed(format!("the line is longer than {LONGEST_LINE} bytes")));
            }
            return Err(ResultsError::Cut {
                path: self.path.clone(),
                line: self.line,
            });
        }
        self.whole += read as u64;
        Ok(true)
    }
}
