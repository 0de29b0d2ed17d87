//! Charts as inline SVG: text stays text, widths are per cent of whatever room there is, and nothing depends on colour alone.
//!
//! Every chart has a title and a description that says in words what it shows. Colours and patterns come from the stylesheet.

use std::fmt::Write;

use crate::report::model::{CoverageRow, CoverageState, DrillReport};
use crate::report::model_case::Case;
use crate::report::verdict::outcome_words;
use crate::report::words::{count_of, duration, number, visible};

/// The height of one row: a line of text and its bar.
const ROW: usize = 42;
/// Labels longer than this are cut: the table below has them whole.
const LABEL: usize = 30;

/// One bar against its target.
struct Bar {
    label: String,
    /// What stands on the right of the label.
    value: String,
    /// Class of the fill, length, and what it is.
    segments: Vec<(String, u64, String)>,
    target: Option<u64>,
    missed: bool,
}

/// How the plan's cases ended: one bar, a part for each outcome.
pub fn outcomes(drill: &DrillReport) -> String {
    let total = drill.scope.planned;
    if total == 0 {
        return String::new();
    }
    let words: Vec<String> =
        drill.scope.outcomes.iter().map(|tally| format!("{} {}", number(tally.count), outcome_words(&tally.outcome))).collect();
    let description = format!("Of {}: {}.", count_of(total, "recovery point", "recovery points"), words.join(", "));
    let mut out = open("outcomes", "How the recovery points ended", &description, 34);
    let mut before = 0;
    for (tally, words) in drill.scope.outcomes.iter().zip(&words) {
        let (x, width) = (share(before, total), share(tally.count, total));
        let _ = write!(
            out,
            r#"<rect class="o-{}" x="{x}" y="1" width="{width}" height="32"><title>{}</title></rect>"#,
            escape(&tally.outcome),
            escape(words)
        );
        before += tally.count;
    }
    out + "</svg>"
}

/// Recovery time per case: phases stacked, against the target.
pub fn recovery_times(drill: &DrillReport) -> String {
    let bars: Vec<Bar> = cases(drill)
        .filter_map(|case| {
            let result = case.result.as_ref()?;
            let achieved: u64 = case.phases.iter().map(|phase| phase.ms).sum();
            let measured = result.rto.achieved_ms;
            if case.phases.is_empty() {
                return None;
            }
            let segments =
                case.phases.iter().map(|phase| (format!("p-{}", phase.name), phase.ms, format!("{}: {}", phase.spans, duration(phase.ms))));
            Some(Bar {
                label: label(case),
                value: against(measured, result.rto.target_s, result.rto.met, achieved),
                segments: segments.collect(),
                target: result.rto.target_s.map(|seconds| seconds.saturating_mul(1000)),
                missed: result.rto.met == Some(false),
            })
        })
        .collect();
    bars_against_targets("rto", "Recovery time of each case against its target", "its phases", &bars)
}

/// Age of the restored data per case, against the target.
pub fn recovery_points(drill: &DrillReport) -> String {
    let bars: Vec<Bar> = cases(drill)
        .filter_map(|case| {
            let rpo = &case.result.as_ref()?.rpo;
            let achieved = rpo.achieved_ms?;
            Some(Bar {
                label: label(case),
                value: against(Some(achieved), rpo.target_s, rpo.met, achieved),
                segments: vec![("age".into(), achieved, format!("data age {}", duration(achieved)))],
                target: rpo.target_s.map(|seconds| seconds.saturating_mul(1000)),
                missed: rpo.met == Some(false),
            })
        })
        .collect();
    bars_as_shares("rpo", "Age of the restored data against its target", "the age of the data", bars)
}

/// Time since the last pass per resource, against its test period.
pub fn coverage(rows: &[CoverageRow]) -> String {
    let bars: Vec<Bar> = rows
        .iter()
        .map(|row| Bar {
            label: cut(&row.resource.0),
            value: match (row.age_ms, row.period_s) {
                (None, _) => "never passed".into(),
                (Some(age), None) => format!("{} ago, no period set", duration(age)),
                (Some(age), Some(period)) => format!("{} ago, every {}", duration(age), duration(period.saturating_mul(1000))),
            },
            segments: row.age_ms.map(|age| ("age".into(), age, format!("last pass {} ago", duration(age)))).into_iter().collect(),
            target: row.period_s.map(|seconds| seconds.saturating_mul(1000)),
            missed: matches!(row.state, CoverageState::Overdue | CoverageState::Never),
        })
        .collect();
    bars_as_shares("coverage", "Time since each resource last passed, against its test period", "the time since the last pass", bars)
}

/// In the plan's order, as the tables below the charts have them.
fn cases(drill: &DrillReport) -> impl Iterator<Item = &Case> {
    let mut cases: Vec<&Case> = drill.exceptions.iter().chain(&drill.passes).collect();
    cases.sort_by(|a, b| a.case.cmp(&b.case));
    cases.into_iter()
}

fn label(case: &Case) -> String {
    cut(&format!("{} {}", case.short, case.resource))
}

fn against(achieved: Option<u64>, target_s: Option<u64>, met: Option<bool>, reached: u64) -> String {
    let target = target_s.map(|seconds| duration(seconds.saturating_mul(1000)));
    match (achieved, target, met) {
        (Some(ms), Some(target), Some(false)) => format!("✕ {} of {target}", duration(ms)),
        (Some(ms), Some(target), _) => format!("{} of {target}", duration(ms)),
        (Some(ms), None, _) => format!("{}, no target", duration(ms)),
        (None, Some(target), _) => format!("{} so far, not finished, of {target}", duration(reached)),
        (None, None, _) => format!("{} so far, not finished", duration(reached)),
    }
}

/// Bars on one common scale. A target within the scale is a line across the bar; one beyond it is said by an arrow at the right edge.
fn bars_against_targets(id: &str, title: &str, what: &str, bars: &[Bar]) -> String {
    if bars.is_empty() {
        return String::new();
    }
    let length = |bar: &Bar| bar.segments.iter().map(|segment| segment.1).sum::<u64>();
    let longest = bars.iter().map(length).max().unwrap_or(0).max(1);
    // Targets a little beyond the longest bar widen the scale; far ones would flatten every bar.
    let near = bars.iter().filter_map(|bar| bar.target).filter(|target| *target <= longest.saturating_mul(3)).max().unwrap_or(0);
    let scale = longest.max(near).saturating_mul(103) / 100;
    let scale = scale.max(1);
    let description = format!("Each bar shows {what}; a line marks the target, an arrow a target beyond the scale of {}.", duration(scale));
    draw(id, title, &description, bars, scale)
}

fn draw(id: &str, title: &str, description: &str, bars: &[Bar], scale: u64) -> String {
    if bars.is_empty() {
        return String::new();
    }
    let missed = bars.iter().filter(|bar| bar.missed).count() as u64;
    let told: Vec<String> = bars.iter().map(|bar| format!("{}: {}", bar.label, bar.value)).collect();
    let description = format!("{description} {} of {} missed. {}.", number(missed), number(bars.len() as u64), told.join("; "));
    let mut out = open(id, title, &description, bars.len() * ROW);
    for (index, bar) in bars.iter().enumerate() {
        row(&mut out, bar, index * ROW, scale);
    }
    out + "</svg>"
}

/// The same with every bar as a share of its own target, cut at two and a half times it: for targets that differ by orders of magnitude.
fn bars_as_shares(id: &str, title: &str, what: &str, mut bars: Vec<Bar>) -> String {
    for bar in &mut bars {
        let whole = bar.target.unwrap_or(0).max(1);
        for segment in &mut bar.segments {
            let share = u128::from(segment.1) * 1000 / u128::from(whole);
            // Without a target there is no share to show; the words beside it tell its length.
            segment.1 = if bar.target.is_some() { u64::try_from(share).unwrap_or(u64::MAX).clamp(4, 2500) } else { 0 };
        }
        bar.target = bar.target.map(|_| 1000);
    }
    let widest = bars.iter().flat_map(|bar| &bar.segments).map(|segment| segment.1).max().unwrap_or(0);
    let description = format!("Each bar shows {what} as a share of its own target, which the line marks.");
    draw(id, title, &description, &bars, widest.max(1000) * 103 / 100)
}

fn row(out: &mut String, bar: &Bar, top: usize, scale: u64) {
    let (text, y) = (top + 14, top + 20);
    let class = if bar.missed { "value missed" } else { "value" };
    let _ = write!(
        out,
        r#"<text class="label" x="0" y="{text}">{}</text><text class="{class}" x="100%" y="{text}" text-anchor="end">{}</text><rect class="track" x="0" y="{y}" width="100%" height="11"/>"#,
        escape(&bar.label),
        escape(&bar.value)
    );
    let mut before = 0_u64;
    for (class, ms, words) in &bar.segments {
        let (x, width) = (share(before, scale), share(*ms, scale));
        let _ = write!(out, r#"<rect class="{class}" x="{x}" y="{y}" width="{width}" height="11"><title>{}</title></rect>"#, escape(words));
        before = before.saturating_add(*ms);
    }
    match bar.target {
        Some(target) if target <= scale => {
            let x = share(target, scale);
            let _ = write!(out, r#"<line class="target" x1="{x}" x2="{x}" y1="{}" y2="{}"/>"#, y - 2, y + 13);
        }
        Some(_) => {
            let _ = write!(out, r#"<text class="beyond" x="100%" y="{}" text-anchor="end">→</text>"#, y + 11);
        }
        None => {}
    }
}

fn open(id: &str, title: &str, description: &str, height: usize) -> String {
    format!(
        r#"<svg class="chart" role="img" aria-labelledby="{id}-title {id}-desc" width="100%" height="{height}"><title id="{id}-title">{}</title><desc id="{id}-desc">{}</desc>"#,
        escape(title),
        escape(description)
    )
}

/// `part` of `whole` as per cent with two decimals, in integers so that every machine writes the same.
fn share(part: u64, whole: u64) -> String {
    let hundredths = u128::from(part) * 10_000 / u128::from(whole.max(1));
    format!("{}.{:02}%", hundredths / 100, hundredths % 100)
}

fn cut(text: &str) -> String {
    let text = visible(text);
    match text.char_indices().nth(LABEL) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Text for SVG inside HTML: made visible, then escaped.
fn escape(text: &str) -> String {
    visible(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_near_and_far() {
        let bar =
            |target| Bar { label: "<a>".into(), value: "v".into(), segments: vec![("age".into(), 100, "w".into())], target, missed: false };
        let near = bars_against_targets("x", "t", "w", &[bar(Some(200))]);
        assert!(near.contains(r#"<line class="target""#) && near.contains("&lt;a&gt;") && !near.contains("<a>"), "{near}");
        let far = bars_against_targets("x", "t", "w", &[bar(Some(100_000))]);
        assert!(far.contains("→") && !far.contains(r#"<line"#), "{far}");
        assert_eq!(bars_against_targets("x", "t", "w", &[]), "");
        assert_eq!((share(1, 3), share(0, 0), share(u64::MAX, u64::MAX)), ("33.33%".into(), "0.00%".into(), "100.00%".into()));
    }

    #[test]
    fn long_labels_are_cut_between_characters() {
        assert_eq!(cut(&"é".repeat(40)).chars().count(), LABEL + 1);
    }
}
