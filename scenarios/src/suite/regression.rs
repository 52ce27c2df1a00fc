//! Seeds that once showed something, kept in a file next to the scenario: `orders.seeds` beside `orders.yaml`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ktrial_models::config::{ConfigError, Place};

use crate::input::read_note;
use crate::library::Source;

/// One line of such a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegressionSeed {
    /// The seed.
    pub seed: u64,
    /// What it found, as somebody wrote it down. Empty if nobody did.
    pub about: String,
}

/// Where the regression seeds of a scenario are kept. Built-in ones have none.
pub fn regression_file(source: &Source) -> Option<PathBuf> {
    match source {
        Source::BuiltIn(..) => None,
        Source::File(path) => Some(path.with_extension("seeds")),
    }
}

/// Reads the regression seeds of a scenario, in their order. No file means none.
///
/// # Errors
/// A file that cannot be read, a line that is no seed.
pub fn regression_seeds(source: &Source) -> Result<Vec<RegressionSeed>, Vec<ConfigError>> {
    let Some(path) = regression_file(source) else {
        return Ok(Vec::new());
    };
    match read_note(&path) {
        Ok(text) => parse(&path, &text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(vec![ConfigError::anywhere(
            format!("cannot read {}: {error}", path.display()),
            "",
        )]),
    }
}

fn parse(path: &Path, text: &str) -> Result<Vec<RegressionSeed>, Vec<ConfigError>> {
    let path: Arc<str> = path.display().to_string().into();
    let mut seeds: Vec<RegressionSeed> = Vec::new();
    let mut errors = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let (seed, about) = line.split_once('#').unwrap_or((line, ""));
        let word = seed.trim();
        if word.is_empty() {
            continue;
        }
        let indent = seed
            .chars()
            .take_while(|character| character.is_whitespace())
            .count();
        let place = Place {
            path: Arc::clone(&path),
            line: number as u32,
            column: indent as u32 + 1,
        };
        let Ok(seed) = word.parse() else {
            let beginning: String = word.chars().take(40).collect();
            errors.push(ConfigError::at(
                &place,
                format!("`{beginning}` is no seed"),
                "expected a seed and what it found: `17  # DUR-2 lost-write`",
            ));
            continue;
        };
        let about = about.trim();
        // One seed can have found several things: what `test` proposes to append does not look at the file.
        match seeds.iter_mut().find(|kept| kept.seed == seed) {
            Some(kept) if about.is_empty() || kept.about == about => {}
            Some(kept) if kept.about.is_empty() => kept.about = about.to_owned(),
            Some(kept) => kept.about.extend(["; ", about]),
            None => seeds.push(RegressionSeed {
                seed,
                about: about.to_owned(),
            }),
        }
    }
    if errors.is_empty() { Ok(seeds) } else { Err(errors) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<RegressionSeed>, Vec<ConfigError>> {
        parse(Path::new("orders.seeds"), text)
    }

    #[test]
    fn a_line_holds_a_seed_and_what_it_found() {
        let seeds = read("# kept by hand\n\n17  # DUR-2 lost-write\n 4\n").unwrap();
        let shown: Vec<_> = seeds
            .iter()
            .map(|kept| (kept.seed, kept.about.as_str()))
            .collect();
        assert_eq!(shown, [(17, "DUR-2 lost-write"), (4, "")]);
    }

    #[test]
    fn a_word_that_is_no_seed_is_shown_with_its_place() {
        let errors = read("17\n  x4 # what\n").unwrap_err();
        let shown: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert!(
            shown[0].starts_with("orders.seeds:2:3: `x4` is no seed"),
            "{shown:?}"
        );
    }

    #[test]
    fn a_seed_that_stands_twice_counts_once_with_all_that_it_found() {
        let seeds = read("17  # DUR-2\n4\n17  # ORD-1\n17\n4 # LIV-1\n").unwrap();
        let shown: Vec<_> = seeds
            .iter()
            .map(|kept| (kept.seed, kept.about.as_str()))
            .collect();
        assert_eq!(shown, [(17, "DUR-2; ORD-1"), (4, "LIV-1")]);
    }
}
