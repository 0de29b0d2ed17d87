//! Charts as inline SVG: text stays text, widths are per cent of whatever room there is, and nothing depends on colour alone.
//!
//! A chart that stands alone has a title and a description that says in words what it shows; a bar in a table row stands beside its figures. Colours and patterns come from the stylesheet.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::report::model::DrillReport;
use crate::report::model_case::Case;
use crate::report::verdict::outcome_words;
use crate::report::words::{count_of, duration, number, visible};

/// The height of a bar in its table row.
const BAR: usize = 14;

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

/// A table's bars: one for each row, and how long the whole width is.
#[derive(Default)]
pub struct Bars {
    /// The bar of each case, by its id.
    pub by_case: BTreeMap<String, String>,
    /// What the full width stands for.
    pub scale_ms: u64,
}

/// Recovery time per case: phases end to end on one scale for all, and the target where it lies within the scale.
pub fn recovery_times(drill: &DrillReport) -> Bars {
    let cases: Vec<&Case> = drill.exceptions.iter().chain(&drill.passes).filter(|case| !case.phases.is_empty()).collect();
    let length = |case: &Case| case.phases.iter().map(|phase| phase.ms).fold(0_u64, u64::saturating_add);
    let target = |case: &Case| case.result.as_ref().and_then(|result| result.rto.target_s).map(|seconds| seconds.saturating_mul(1000));
    let longest = cases.iter().map(|case| length(case)).max().unwrap_or(0);
    // Targets a little beyond the longest bar widen the scale; far ones would flatten every bar.
    let near = cases.iter().filter_map(|case| target(case)).filter(|target| *target <= longest.saturating_mul(3)).max().unwrap_or(0);
    let scale_ms = (longest.max(near).saturating_mul(103) / 100).max(1);
    let draw = |case: &&Case| {
        let parts =
            case.phases.iter().map(|phase| (format!("p-{}", phase.name), phase.ms, format!("{}: {}", phase.spans, duration(phase.ms))));
        (visible(&case.case.0), bar(&parts.collect::<Vec<_>>(), target(case), scale_ms))
    };
    Bars { by_case: cases.iter().map(draw).collect(), scale_ms }
}

/// A length against its own target, cut at two and a half times it: for targets that differ by orders of magnitude. Nothing without a target.
pub fn against_target(achieved_ms: u64, target_s: u64) -> String {
    let whole = u128::from(target_s.saturating_mul(1000).max(1));
    let part = u64::try_from(u128::from(achieved_ms) * 1000 / whole).unwrap_or(u64::MAX).clamp(4, 2500);
    let words = format!("{} of {}", duration(achieved_ms), duration(target_s.saturating_mul(1000)));
    bar(&[("age".into(), part, words)], Some(1000), part.max(1000).saturating_mul(103) / 100)
}

/// One bar: class, length and words of each part, on a track that is `scale` long. The figures stand beside it in the row.
fn bar(parts: &[(String, u64, String)], target: Option<u64>, scale: u64) -> String {
    let mut out = format!(r#"<svg class="bar" aria-hidden="true" focusable="false" width="100%" height="{BAR}">"#);
    out += r#"<rect class="track" x="0" y="2" width="100%" height="10"/>"#;
    let mut before = 0_u64;
    for (class, length, words) in parts {
        let (x, width) = (share(before, scale), share(*length, scale));
        let _ = write!(out, r#"<rect class="{class}" x="{x}" y="2" width="{width}" height="10"><title>{}</title></rect>"#, escape(words));
        before = before.saturating_add(*length);
    }
    if let Some(target) = target.filter(|target| *target <= scale) {
        let x = share(target, scale);
        let _ = write!(out, r#"<line class="target" x1="{x}" x2="{x}" y1="0" y2="{BAR}"/>"#);
    }
    out + "</svg>"
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

/// Text for SVG inside HTML: made visible, then escaped.
fn escape(text: &str) -> String {
    visible(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_within_and_beyond_the_scale() {
        let parts = [("age".to_owned(), 100, "<a>".to_owned())];
        let near = bar(&parts, Some(200), 206);
        assert!(near.contains(r#"<line class="target" x1="97.08%""#) && near.contains("&lt;a&gt;") && !near.contains("<a>"), "{near}");
        assert!(!bar(&parts, Some(100_000), 206).contains("<line"));
        assert_eq!((share(1, 3), share(0, 0), share(u64::MAX, u64::MAX)), ("33.33%".into(), "0.00%".into(), "100.00%".into()));
    }

    #[test]
    fn a_share_of_a_target_is_cut_and_never_invisible() {
        assert!(against_target(u64::MAX, 1).contains(r#"x1="38.83%""#), "a target far behind stays in the picture");
        assert!(against_target(0, 0).contains("0.38%") && against_target(1, u64::MAX).contains("0.38%"), "a hair is drawn");
        assert!(against_target(30_000, 60).contains(r#"width="48.54%""#));
    }
}
