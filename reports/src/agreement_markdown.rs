//! Recorded runs beside their simulations as one row each of a Markdown table.

use ktrial_models::history::{Invariant, Verdict};
use ktrial_scenarios::{Agreement, Standing, TimeRow};

use crate::agreement::{among, amount, amounts, range, seconds};

/// The heading of the table, two lines.
pub const AGREEMENT_HEADING: &str = "\
| experiment | seeds | records: real (simulated) | not held, as in so many seeds | course taken by | fault to change, seconds: real (simulated) | agrees | since |
|---|---|---|---|---|---|---|---|
";

/// One row. `since` is the commit since which it stands so; somebody keeps it by hand.
pub fn agreement_row(experiment: &str, agreement: &Agreement, since: &str) -> String {
    let cells = [
        experiment.to_owned(),
        agreement.seeds.to_string(),
        counts(agreement),
        verdicts(agreement),
        courses(agreement),
        times(agreement),
        agrees(agreement),
        since.to_owned(),
    ];
    format!("| {} |\n", cells.join(" | "))
}

/// A mark for numbers that a measured one explains, and for those that wait for models.
fn mark(standing: &Standing) -> &'static str {
    match standing {
        Standing::Agrees => "",
        Standing::Explained(_) => "*",
        Standing::Disagrees(_) => " **!**",
        Standing::Open(_) => " open",
    }
}

fn counts(agreement: &Agreement) -> String {
    let counts = agreement.counts.iter();
    let counts = counts.map(|row| {
        let simulated = range(&row.simulated);
        format!("{} {} ({simulated}){}", row.name, row.real, mark(&row.standing))
    });
    let groups = agreement.groups.iter();
    let groups = groups.map(|row| {
        let simulated = amounts(&row.simulated);
        format!(
            "{} {} ({simulated}){}",
            row.name,
            amount(row.real),
            mark(&row.standing)
        )
    });
    counts.chain(groups).collect::<Vec<_>>().join(", ")
}

fn verdicts(agreement: &Agreement) -> String {
    let shown = agreement.verdicts.iter().filter(|row| {
        matches!(row.real, Verdict::Exposed(_) | Verdict::Broken) || !matches!(row.standing, Standing::Agrees)
    });
    let shown = shown.map(|row| {
        let same = row
            .simulated
            .iter()
            .filter(|(verdict, _)| std::mem::discriminant(verdict) == std::mem::discriminant(&row.real));
        let k: u64 = same.map(|(_, among)| among.k).sum();
        format!("{}: {k}{}", name(row.invariant), mark(&row.standing))
    });
    shown.collect::<Vec<_>>().join(", ")
}

fn name(invariant: Invariant) -> &'static str {
    invariant.code().unwrap_or(invariant.name())
}

fn courses(agreement: &Agreement) -> String {
    let courses = agreement.courses.iter();
    let courses =
        courses.map(|row| format!("{}: {}{}", row.partition, among(row.taken), mark(&row.standing)));
    courses.collect::<Vec<_>>().join(", ")
}

/// The times to changes of the leader, of any partition: those of the ISR alone are in `ktrial agree`.
fn times(agreement: &Agreement) -> String {
    let leads = |row: &TimeRow| row.change.split(' ').next().unwrap_or_default().to_owned();
    let mut shown: Vec<String> = Vec::new();
    let mut before: Option<(&str, usize, String)> = None;
    for row in &agreement.times {
        let last_step = before.take();
        let new_leader = match &last_step {
            Some((partition, step, leader)) if *partition == row.partition && *step < row.step => {
                *leader != leads(row)
            }
            Some((partition, step, _)) if *partition == row.partition && *step == row.step => false,
            _ => leads(row) != "L",
        };
        before = Some((&row.partition, row.step, leads(row)));
        if new_leader || !matches!(row.standing, Standing::Agrees) {
            let simulated = row.simulated.map_or("-".to_owned(), |range| {
                format!("{}..{}", seconds(range.least), seconds(range.most))
            });
            shown.push(format!(
                "{} → {}: {} ({simulated}){}",
                row.fault,
                leads(row),
                seconds(row.real),
                mark(&row.standing)
            ));
        }
    }
    let inside = agreement
        .times
        .iter()
        .filter(|row| matches!(row.standing, Standing::Agrees));
    let (inside, all) = (inside.count(), agreement.times.len());
    if all == 0 {
        return String::new();
    }
    shown.insert(0, format!("{inside} of {all} inside"));
    shown.join("; ")
}

fn agrees(agreement: &Agreement) -> String {
    let wrong = agreement.disagreements();
    if wrong.is_empty() {
        "yes".to_owned()
    } else {
        format!("no: {}", wrong.join("; "))
    }
}
