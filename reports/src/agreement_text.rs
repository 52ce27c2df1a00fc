//! A recorded run beside its simulation, for people.

use std::fmt::Write;

use ktrial_models::history::Verdict;
use ktrial_scenarios::{Agreement, Standing};

use crate::agreement::{ToldAgreement, among, amount, amounts, range, seconds, standing, verdict};
use crate::table::{Align, Table};

/// A table for each kind of row, and in the last line whether all of them agree.
pub fn agreement_text(told: &ToldAgreement<'_>) -> String {
    let agreement = told.agreement;
    let last = agreement.first_seed + agreement.seeds.saturating_sub(1);
    let mut text = format!(
        "{} ({}) beside {}, seeds {} to {last}\n",
        told.history, agreement.source, told.scenario, agreement.first_seed
    );
    let sections = [
        ("Faults, seconds after the first send", faults(agreement)),
        ("What was sent between the faults", phases(agreement)),
        ("Verdicts of the same judges", verdicts(agreement)),
        ("Records", counts(agreement)),
        ("Groups: partitions, commits, waits", groups(agreement)),
        (
            "Courses of partitions: leader, ISR, ELR, last known leader (L led first, F1, F2 ... followed)",
            courses(agreement),
        ),
        ("Seconds from a fault to what followed it", times(agreement)),
    ];
    for (heading, table) in sections {
        if !table.is_empty() {
            write!(text, "\n{heading}\n\n{table}").expect("writing to a string");
        }
    }
    text.push('\n');
    if told.interrupted {
        text.push_str("Interrupted: only the seeds that were finished are in it.\n");
    }
    for (heading, rows) in [("explained", agreement.explained()), ("open", agreement.open())] {
        if !rows.is_empty() {
            writeln!(text, "{heading}: {}", rows.join("; ")).expect("writing to a string");
        }
    }
    let wrong = agreement.disagreements();
    if wrong.is_empty() {
        text.push_str("agrees\n");
    } else {
        writeln!(text, "disagrees in: {}", wrong.join("; ")).expect("writing to a string");
    }
    text
}

fn faults(agreement: &Agreement) -> String {
    let mut table = Table::new([
        ("fault", Align::Left),
        ("real", Align::Right),
        ("simulated", Align::Left),
        ("", Align::Left),
    ]);
    for row in &agreement.faults {
        let simulated = row.simulated.map(|range| {
            let (least, most) = (seconds(range.least.0 as i64), seconds(range.most.0 as i64));
            if least == most {
                least
            } else {
                format!("{least}..{most}")
            }
        });
        table.row([
            row.fault.clone(),
            row.real.map_or("-".to_owned(), |real| seconds(real.0 as i64)),
            simulated.unwrap_or_else(|| "-".to_owned()),
            match &row.standing {
                Standing::Agrees => String::new(),
                other => standing(other),
            },
        ]);
    }
    table.render_unless_empty()
}

fn phases(agreement: &Agreement) -> String {
    let mut table = Table::new([
        ("from", Align::Left),
        ("real: records", Align::Right),
        ("in seconds", Align::Right),
        ("simulated: records", Align::Right),
        ("in seconds", Align::Right),
    ]);
    for phase in &agreement.phases {
        table.row([
            phase.after.clone().unwrap_or_else(|| "first send".to_owned()),
            phase.real_sent.to_string(),
            seconds(phase.real_length.0 as i64),
            range(&phase.simulated_sent),
            seconds(phase.simulated_length.median.0 as i64),
        ]);
    }
    table.render_unless_empty()
}

fn verdicts(agreement: &Agreement) -> String {
    let mut table = Table::new([
        ("invariant", Align::Left),
        ("real", Align::Left),
        ("simulated", Align::Left),
        ("", Align::Left),
        ("promise", Align::Left),
    ]);
    for row in &agreement.verdicts {
        let simulated = row.simulated.iter();
        let simulated: Vec<String> = simulated
            .map(|(told, in_seeds)| format!("{} {}", verdict(told), among(*in_seeds)))
            .collect();
        let promise = match &row.real {
            Verdict::Exposed(reasons) => reasons.join("; "),
            Verdict::Broken => "Kafka promises this".to_owned(),
            Verdict::Pass | Verdict::Vacuous => String::new(),
        };
        table.row([
            row.invariant.to_string(),
            verdict(&row.real).to_owned(),
            simulated.join(", "),
            standing(&row.standing),
            promise,
        ]);
    }
    table.render_unless_empty()
}

fn counts(agreement: &Agreement) -> String {
    let mut table = Table::new([
        ("records", Align::Left),
        ("real", Align::Right),
        ("simulated", Align::Right),
        ("any in", Align::Left),
        ("", Align::Left),
    ]);
    for row in &agreement.counts {
        table.row([
            row.name.clone(),
            row.real.to_string(),
            range(&row.simulated),
            among(row.with),
            standing(&row.standing),
        ]);
    }
    table.render_unless_empty()
}

fn groups(agreement: &Agreement) -> String {
    let mut table = Table::new([
        ("groups", Align::Left),
        ("real", Align::Right),
        ("simulated", Align::Right),
        ("", Align::Left),
    ]);
    for row in &agreement.groups {
        table.row([
            row.name.clone(),
            amount(row.real),
            amounts(&row.simulated),
            standing(&row.standing),
        ]);
    }
    table.render_unless_empty()
}

fn courses(agreement: &Agreement) -> String {
    let mut text = String::new();
    for row in &agreement.courses {
        let seed = row
            .first_seed
            .map_or(String::new(), |seed| format!(", first seed {seed}"));
        writeln!(
            text,
            "{}: taken by {} seeds{seed}: {}",
            row.partition,
            among(row.taken),
            standing(&row.standing)
        )
        .expect("writing to a string");
        for (number, state) in row.states.iter().enumerate() {
            let missed = if number >= row.furthest {
                "   <- no seed"
            } else {
                ""
            };
            writeln!(text, "{:4}  {state}{missed}", number + 1).expect("writing to a string");
        }
    }
    text
}

fn times(agreement: &Agreement) -> String {
    let mut table = Table::new([
        ("partition", Align::Left),
        ("from", Align::Left),
        ("to", Align::Left),
        ("real", Align::Right),
        ("least", Align::Right),
        ("median", Align::Right),
        ("most", Align::Right),
        ("seeds", Align::Right),
        ("", Align::Left),
    ]);
    for row in &agreement.times {
        let range = row.simulated;
        let cell = |value: Option<i64>| value.map_or_else(|| "-".to_owned(), seconds);
        table.row([
            row.partition.clone(),
            row.fault.clone(),
            format!("{}  {}", row.step + 1, row.change),
            seconds(row.real),
            cell(range.map(|range| range.least)),
            cell(range.map(|range| range.median)),
            cell(range.map(|range| range.most)),
            row.of.to_string(),
            standing(&row.standing),
        ]);
    }
    table.render_unless_empty()
}
