//! `ktrial check`: judges histories by what clients saw.

use ktrial_models::history::{Verdict, judge};
use ktrial_reports::check_text;

use crate::arguments::CheckArguments;
use crate::commands::{print, read_history};
use crate::exit::{Exit, Failure, Outcome};

/// Runs the command. Files that are no histories are told at the end; the others are judged all the same.
pub fn run(arguments: &CheckArguments) -> Outcome {
    let mut exit = Exit::Held;
    let mut errors = Vec::new();
    for path in &arguments.files {
        let shown = path.display().to_string();
        match read_history(path) {
            Ok(history) => {
                let report = judge(&history);
                print(&check_text(&shown, &history, &report))?;
                if report
                    .findings
                    .iter()
                    .any(|finding| finding.verdict() == Verdict::Broken)
                {
                    exit = Exit::Broken;
                }
            }
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() {
        Ok(exit)
    } else {
        Err(Failure::Input(errors))
    }
}
