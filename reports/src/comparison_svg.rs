//! A comparison as a picture: how many trials lost records, and for how long nothing could be written.

use plotters::prelude::*;

use crate::comparison::{ArmOutcome, ComparedArm, Comparison};
use crate::numbers::percent;
use ktrial_scenarios::{ArmSummary, ArmVerdict};

const ROW: u32 = 34;
const MARGIN: u32 = 70;
const WIDTH: u32 = 1_000;
/// The least room for labels.
const LABELS: i32 = 330;
const LABEL_SIZE: i32 = 13;
const PANEL: i32 = 280;

/// The comparison as SVG.
pub fn comparison_svg(comparison: &Comparison) -> String {
    let mut svg = String::new();
    let height = MARGIN + ROW * comparison.arms.len() as u32 + 50;
    let width = WIDTH + (room(comparison) - LABELS) as u32;
    {
        let area = SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area();
        draw(&area, comparison).expect("drawing into a string");
        area.present().expect("drawing into a string");
    }
    svg
}

/// The room that labels need: where the bars begin. Fonts differ, so a letter is taken as wide as a wide one.
fn room(comparison: &Comparison) -> i32 {
    let longest = comparison.arms.iter().map(|arm| arm.label().chars().count());
    let longest = longest.max().unwrap_or(0) as i32;
    (16 + longest * LABEL_SIZE * 3 / 5 + 14).max(LABELS)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

fn draw(area: &Area<'_>, comparison: &Comparison) -> Drawn {
    area.fill(&WHITE)?;
    let text = |size: i32| ("sans-serif", size).into_font();
    let left = room(comparison);
    let (first, seeds) = comparison.seeds;
    let title = format!(
        "{}, seeds {first} to {}, Kafka 4.3",
        comparison.scenario,
        first + seeds.saturating_sub(1)
    );
    area.draw(&Text::new(title, (16, 14), text(18)))?;
    area.draw(&Text::new(
        "trials that lost acknowledged records, with 95 % interval",
        (left, 44),
        text(12),
    ))?;
    area.draw(&Text::new(
        "time without writes: median, longest",
        (left + PANEL + 70, 44),
        text(12),
    ))?;
    let longest = ran(comparison)
        .map(|(_, summary)| summary.unwritable.most.0)
        .max()
        .unwrap_or(0)
        .max(1);
    for (number, arm) in comparison.arms.iter().enumerate() {
        let top = (MARGIN + ROW * number as u32) as i32;
        area.draw(&Text::new(arm.label(), (16, top + 8), text(LABEL_SIZE)))?;
        match &arm.outcome {
            ArmOutcome::Refused(_) => area.draw(&Text::new("refused by Kafka", (left, top + 8), text(13)))?,
            ArmOutcome::Ran(summary) => {
                loss(area, (left, top), summary)?;
                silence(area, (left + PANEL + 70, top), summary, longest)?;
            }
        }
    }
    let note = "Percentages are about this fault model, not about your data centre.";
    area.draw(&Text::new(
        note,
        (16, (MARGIN + ROW * comparison.arms.len() as u32) as i32 + 18),
        text(12),
    ))?;
    Ok(())
}

fn ran(comparison: &Comparison) -> impl Iterator<Item = (&ComparedArm, &ArmSummary)> {
    comparison.arms.iter().filter_map(|arm| match &arm.outcome {
        ArmOutcome::Ran(summary) => Some((arm, &**summary)),
        ArmOutcome::Refused(_) => None,
    })
}

/// A bar of the share of trials, with its interval as a whisker.
fn loss(area: &Area<'_>, (left, top): (i32, i32), summary: &ArmSummary) -> Drawn {
    let share = summary.with_loss;
    let (low, high) = share.interval();
    let x = |share: f64| left + (share * f64::from(PANEL)) as i32;
    let colour = match summary.verdict() {
        ArmVerdict::Broken => RGBColor(170, 20, 90),
        ArmVerdict::Exposed => RGBColor(210, 105, 30),
        ArmVerdict::Holds | ArmVerdict::Vacuous => RGBColor(70, 130, 90),
    };
    let value = if share.n == 0 {
        0.0
    } else {
        share.k as f64 / share.n as f64
    };
    area.draw(&Rectangle::new(
        [(x(0.0), top + 6), (x(1.0), top + 22)],
        RGBColor(238, 238, 238).filled(),
    ))?;
    area.draw(&Rectangle::new(
        [(x(0.0), top + 6), (x(value).max(x(0.0) + 1), top + 22)],
        colour.filled(),
    ))?;
    area.draw(&PathElement::new(
        vec![(x(low), top + 14), (x(high), top + 14)],
        BLACK.stroke_width(1),
    ))?;
    let label = format!("{} %", percent(value));
    area.draw(&Text::new(
        label,
        (x(1.0) + 6, top + 8),
        ("sans-serif", 12).into_font(),
    ))?;
    Ok(())
}

/// A bar up to the median and a line up to the longest silence.
fn silence(area: &Area<'_>, (left, top): (i32, i32), summary: &ArmSummary, longest: u64) -> Drawn {
    let x = |nanos: u64| left + (nanos as f64 / longest as f64 * 200.0) as i32;
    let unwritable = summary.unwritable;
    let colour = RGBColor(70, 100, 160);
    area.draw(&Rectangle::new(
        [(left, top + 6), (x(unwritable.median.0).max(left + 1), top + 22)],
        colour.filled(),
    ))?;
    area.draw(&PathElement::new(
        vec![(left, top + 14), (x(unwritable.most.0), top + 14)],
        colour.stroke_width(1),
    ))?;
    let label = format!(
        "{}, {}",
        crate::numbers::time(unwritable.median),
        crate::numbers::time(unwritable.most)
    );
    area.draw(&Text::new(
        label,
        (x(unwritable.most.0) + 8, top + 8),
        ("sans-serif", 12).into_font(),
    ))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_arm(settings: &[&str]) -> Comparison {
        Comparison {
            scenario: "mine".to_owned(),
            about: String::new(),
            command: String::new(),
            seeds: (1, 1),
            arms: vec![ComparedArm {
                name: None,
                settings: settings.iter().map(|text| (*text).to_owned()).collect(),
                outcome: ArmOutcome::Refused(Vec::new()),
            }],
            remarks: Vec::new(),
            interrupted: false,
        }
    }

    #[test]
    fn bars_begin_behind_the_longest_label() {
        assert_eq!(room(&of_arm(&["acks=1"])), LABELS);
        let long = of_arm(&[
            "unclean.leader.election.enable=true",
            "min.insync.replicas=2",
            "acks=all",
        ]);
        let left = room(&long);
        assert!(left > 16 + 66 * 7, "{left}");
        let svg = comparison_svg(&long);
        assert!(svg.contains(&format!("x=\"{left}\"")), "{svg}");
        assert!(
            svg.contains(&format!("width=\"{}\"", 1_000 + left - LABELS)),
            "{svg}"
        );
    }
}
