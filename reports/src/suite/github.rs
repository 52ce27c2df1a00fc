//! Tests as annotations of GitHub Actions (workflow commands): one for each failure, at the line that asserts it.

use std::path::{Component, Path, PathBuf};

use ktrial_models::config::{ConfigError, Place};
use ktrial_scenarios::{InternalError, Status, SuiteReport, TestOutcome};

use super::words;

/// GitHub shows ten errors of a step and drops the others.
const MOST: usize = 10;

/// What failed, as workflow commands. Paths below `root`, the repository's, are told from there.
pub fn suite_github(suite: &SuiteReport, root: Option<&Path>) -> String {
    let mut errors: Vec<(Status, String)> = Vec::new();
    for report in &suite.scenarios {
        let label = report.label();
        let status = report.status();
        let mut tell = |place: Option<&Place>, title: &str, message: &str| {
            errors.push((status, annotation(root, place, title, message)));
        };
        match &report.outcome {
            TestOutcome::Wrong(wrong) => {
                for error in wrong {
                    let ConfigError { place, .. } = error;
                    tell(place.as_ref(), &format!("{label}: scenario error"), &plain(error));
                }
            }
            TestOutcome::Refused(reasons) => {
                for reason in reasons {
                    tell(report.place.as_ref(), &format!("{label}: REFUSED"), reason);
                }
            }
            TestOutcome::Ran(tested) => {
                for InternalError { seed, message } in &tested.panics {
                    let message = format!("seed {seed}: {message}\nagain: {}", report.again(*seed));
                    tell(
                        report.place.as_ref(),
                        &format!("{label}: internal error"),
                        &message,
                    );
                }
                for (check, failure) in words::failures(tested) {
                    let place = check.place.as_ref().or(report.place.as_ref());
                    let mut message = words::failure(tested, check, failure);
                    if let Some(witness) = &failure.witness {
                        message.push_str(&format!("\nfirst at {}", words::witness(witness)));
                    }
                    message.push_str(&format!("\nagain: {}", report.again(failure.seeds[0])));
                    let place = place.filter(|_| report.place.is_some());
                    tell(place, &format!("{label}: {}", words::name(check)), &message);
                }
                if tested.is_vacuous() && suite.fail_on_vacuous && !suite.interrupted {
                    let message = words::vacuous(tested);
                    tell(report.place.as_ref(), &format!("{label}: VACUOUS"), &message);
                }
            }
        }
    }
    // The worst first: what comes after the tenth is not shown.
    errors.sort_by_key(|(status, _)| std::cmp::Reverse(*status));
    let more = errors.len().saturating_sub(MOST);
    let shown = if more > 0 { MOST - 1 } else { errors.len() };
    let mut text: String = errors[..shown].iter().map(|(_, line)| line.as_str()).collect();
    if more > 0 {
        let message = format!("{} more failures: see the log of this step", errors.len() - shown);
        text.push_str(&annotation(None, None, "ktrial", &message));
    }
    text
}

/// An error without its place, which the annotation has.
fn plain(error: &ConfigError) -> String {
    let without = ConfigError::anywhere(error.message.clone(), error.remedy.clone());
    without.to_string()
}

fn annotation(root: Option<&Path>, place: Option<&Place>, title: &str, message: &str) -> String {
    let mut properties = Vec::new();
    if let Some(place) = place {
        let file = in_repository(root, &place.path);
        properties.push(format!(
            "file={},line={},col={}",
            property(&file),
            place.line,
            place.column
        ));
    }
    properties.push(format!("title={}", property(title)));
    format!("::error {}::{}\n", properties.join(","), data(message))
}

/// A path as annotations take it: relative to the root of the repository, without `.` and `..`.
fn in_repository(root: Option<&Path>, path: &str) -> String {
    let whole = root.and_then(|root| {
        let whole = std::path::absolute(path).ok()?;
        Some(plain_path(&whole).strip_prefix(root).ok()?.to_owned())
    });
    let path = whole.unwrap_or_else(|| plain_path(Path::new(path)));
    path.display().to_string()
}

/// A path without `.`, and without `..` where there is something before it to take back.
fn plain_path(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(plain.components().next_back(), Some(Component::Normal(_))) => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

/// The text of a workflow command, escaped as the runner reads it.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a workflow command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_workflow_command_would_take_for_its_own_is_escaped() {
        let place = Place {
            path: "./tests/a,b.yaml".into(),
            line: 3,
            column: 5,
        };
        assert_eq!(
            annotation(None, Some(&place), "lost: 0", "100%\nagain: x"),
            "::error file=tests/a%2Cb.yaml,line=3,col=5,title=lost%3A 0::100%25%0Aagain: x\n"
        );
    }

    #[test]
    fn a_path_is_told_from_the_root_of_the_repository() {
        let here = std::env::current_dir().unwrap();
        let above = here.parent().unwrap();
        assert_eq!(
            in_repository(None, "scenarios/../server.properties"),
            "server.properties"
        );
        assert_eq!(in_repository(None, "../../a.yaml"), "../../a.yaml");
        let told = in_repository(Some(above), "a.yaml");
        assert_eq!(Path::new(&told), here.strip_prefix(above).unwrap().join("a.yaml"));
    }
}
