//! The parts of a sweep put together: the same bytes as if one process had run it.

use std::path::PathBuf;

use super::{Results, ResultsError, Seeds, SweepHeader, TrialLine};

/// Why parts cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// One of them cannot be used.
    #[error(transparent)]
    Results(#[from] ResultsError),
    /// None has a trial.
    #[error("these folders are parts without seeds; where are the others?")]
    Nothing,
    /// Two are of different sweeps.
    #[error("{} and {} are of different sweeps: {what} {a} and {b}", one.display(), two.display())]
    Different {
        /// A folder.
        one: PathBuf,
        /// Another.
        two: PathBuf,
        /// In what they differ.
        what: &'static str,
        /// What the first says.
        a: String,
        /// What the second says.
        b: String,
    },
    /// Two have the same seeds.
    #[error("{} and {} overlap: both have seed {seed}", one.display(), two.display())]
    Overlap {
        /// A folder.
        one: PathBuf,
        /// Another.
        two: PathBuf,
        /// A seed of both.
        seed: u64,
    },
    /// Seeds are missing.
    #[error("seeds {0} are missing: none of these folders has them")]
    Gap(Seeds),
    /// A part is not finished.
    #[error(
        "{} is not finished: it has {found} of {expected} trials; `ktrial sweep --resume` with the same arguments \
         goes on with it",
        folder.display()
    )]
    Unfinished {
        /// The folder.
        folder: PathBuf,
        /// How many trials it has.
        found: u64,
        /// How many it should have.
        expected: u64,
    },
}

/// A part with its place.
struct Part {
    folder: PathBuf,
    header: SweepHeader,
    seeds: Seeds,
    results: Results,
    found: u64,
}

/// The results of several folders, read as one sweep in the order of seeds.
pub struct Parts {
    header: SweepHeader,
    /// Those not read to their end, the last ones first.
    left: Vec<Part>,
}

impl Parts {
    /// Opens folders that are parts of one sweep, or whole sweeps of the same scenario whose seeds follow each other.
    ///
    /// # Errors
    /// They do not fit together.
    pub fn open(folders: &[PathBuf]) -> Result<Self, MergeError> {
        let mut parts = Vec::new();
        for folder in folders {
            let mut results = Results::open(folder)?;
            let header = results.header()?;
            // A part without seeds, of a sweep with fewer seeds than parts, adds nothing.
            if let Some(seeds) = header.own_seeds() {
                parts.push(Part {
                    folder: folder.clone(),
                    header,
                    seeds,
                    results,
                    found: 0,
                });
            }
        }
        parts.sort_by_key(|part| part.seeds.first);
        let header = together(&parts)?;
        parts.reverse();
        Ok(Parts { header, left: parts })
    }

    /// The header of the whole.
    pub fn header(&self) -> &SweepHeader {
        &self.header
    }

    /// The next trial; none after the last seed.
    ///
    /// # Errors
    /// A part is cut, not finished, or not what it must be.
    pub fn trial(&mut self) -> Result<Option<TrialLine>, MergeError> {
        while let Some(part) = self.left.last_mut() {
            let wanted = (part.found < part.seeds.count()).then(|| part.seeds.first + part.found);
            match (part.results.trial(wanted)?, wanted) {
                (Some(line), _) => {
                    part.found += 1;
                    return Ok(Some(line));
                }
                (None, Some(_)) => {
                    return Err(MergeError::Unfinished {
                        folder: part.folder.clone(),
                        found: part.found,
                        expected: part.seeds.count(),
                    });
                }
                (None, None) => {
                    self.left.pop();
                }
            }
        }
        Ok(None)
    }
}

/// The header of the whole, if the parts fit together.
fn together(parts: &[Part]) -> Result<SweepHeader, MergeError> {
    let Some(first) = parts.first() else {
        return Err(MergeError::Nothing);
    };
    let parted = parts.iter().any(|part| part.header.shard.is_some());
    let mut whole = first.header.clone();
    whole.shard = None;
    for part in parts {
        let mut header = part.header.clone();
        header.shard = None;
        if !parted {
            header.seeds = whole.seeds;
        }
        if let Some((what, a, b)) = whole.difference(&header) {
            return Err(MergeError::Different {
                one: first.folder.clone(),
                two: part.folder.clone(),
                what,
                a,
                b,
            });
        }
    }
    for pair in parts.windows(2) {
        let [one, two] = pair else {
            unreachable!("windows of two")
        };
        if two.seeds.first <= one.seeds.last {
            return Err(MergeError::Overlap {
                one: one.folder.clone(),
                two: two.folder.clone(),
                seed: two.seeds.first,
            });
        }
        no_gap(one.seeds.last + 1, two.seeds.first)?;
    }
    let last = parts.last().expect("there is a first one").seeds.last;
    if parted {
        no_gap(whole.seeds.first, first.seeds.first)?;
        no_gap(last + 1, whole.seeds.last.saturating_add(1))?;
    } else {
        whole.seeds = Seeds {
            first: first.seeds.first,
            last,
        };
    }
    Ok(whole)
}

fn no_gap(from: u64, to: u64) -> Result<(), MergeError> {
    if from < to {
        return Err(MergeError::Gap(Seeds {
            first: from,
            last: to - 1,
        }));
    }
    Ok(())
}
