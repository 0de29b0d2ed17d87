//! The tamper suite: everything that could be done to a log, by a stranger with the files or by an operator with the key, and the named
//! fault that it must end in. Every rule has its tamper; the last test holds the suite to that.
//!
//! | Module | What is tampered with |
//! |---|---|
//! | `files` | the files, without the key |
//! | `forgeries` | one entry, with the key |
//! | `draws` | populations, plans, draws |
//! | `listings` | what a population leaves out that its listings have |
//! | `runs` | the order and the totals of a run |
//! | `results` | what is said of one recovery point |
//! | `derived` | what is said of it and can only be a lie by what else is said |
//! | `check_packs` | which SQL checks there are, and what they are |
//! | `made` | when it was restored, and by whose clock |
//! | `owed` | what is left out of it: every member of its entry, one after the other |
//! | `apart` | what is said to be left out of a comparison |
//! | `passes` | what is called a pass |

mod apart;
mod check_packs;
mod derived;
mod draws;
mod files;
mod forgeries;
mod listings;
mod made;
mod owed;
mod passes;
mod results;
mod runs;

use attestore::model::clock::Timestamp;
use attestore::model::counts::Counts;
use attestore::model::outcome::Outcome;
use attestore::testing_log::body::*;
use attestore::testing_log::entry::{Actor, Body, Entry};
use attestore::testing_log::point_result::*;
use attestore::testing_log::verify::fault::Rule;
use attestore::testing_log::verify::verdict::VerifyOptions;
use attestore::testing_log::writer::LogWriter;

use crate::support::*;

/// What is done, and the fault that it must end in.
pub type Tamper = (&'static str, Rule, How);

/// The kinds of tampering, told apart by who can do them.
pub enum How {
    /// The operator writes a lie and signs it. The fault must be the only one: the rest of the story agrees with the lie.
    Lie(fn(&mut Body, usize)),
    /// The same, where one lie breaks several rules.
    BigLie(fn(&mut Body, usize)),
    /// The operator tells another story.
    Story(fn(&mut Story)),
    /// The operator, whose plan promises that results state all, changes one: that of this point, or of a bucket's.
    Owed(&'static str, fn(&mut PointResult)),
    /// Somebody changes files afterwards.
    Files(fn(&World)),
}

pub fn result(change: fn(&mut PointResult)) -> impl Fn(&mut Body, usize) {
    move |body, _| {
        if let Body::PointResult(result) = body {
            change(result);
        }
    }
}

/// Only results that pass.
pub fn passing(body: &mut Body, change: fn(&mut PointResult)) {
    if let Body::PointResult(result) = body
        && result.outcome == Outcome::Pass
    {
        change(result);
    }
}

pub fn population(body: &mut Body, change: fn(&mut PopulationCommitted)) {
    if let Body::PopulationCommitted(population) = body {
        change(population);
    }
}

pub fn plan(body: &mut Body, change: fn(&mut DrillPlanned)) {
    if let Body::DrillPlanned(plan) = body {
        change(plan);
    }
}

pub fn closed_body(body: &mut Body, change: fn(&mut DrillClosed)) {
    if let Body::DrillClosed(closed) = body {
        change(closed);
    }
}

pub fn append(writer: &mut LogWriter, body: Body) {
    let last = writer.dir().entry(writer.size() - 1).unwrap().at;
    writer.append_at(last, body, Actor::tool("t"), &mut |_, _| Ok(())).unwrap();
}

/// After the first entry of `kind`, `act` writes something more.
pub fn after(story: &mut Story, kind: &'static str, mut act: impl FnMut(&mut LogWriter) + 'static) {
    let mut done = false;
    story.after = Box::new(move |written, writer| {
        if written == kind && !done {
            done = true;
            act(writer);
        }
    });
}

pub fn find(writer: &LogWriter, kind: &str) -> Entry {
    writer.dir().entries().unwrap().map(Result::unwrap).filter(|entry| entry.body.kind() == kind).last().unwrap()
}

pub fn facts(result: &mut PointResult) -> &mut VerifyFacts {
    result.verify.as_mut().unwrap()
}

pub fn counts(result: &mut PointResult) -> &mut Counts {
    let facts = result.verify.as_mut().unwrap();
    facts.objects.as_mut().or(facts.rows.as_mut()).unwrap()
}

fn tampers() -> Vec<Tamper> {
    let mut all = files::files();
    all.extend(forgeries::forgeries());
    all.extend(draws::draws());
    all.extend(runs::runs());
    all.extend(results::results());
    all.extend(derived::derived());
    all.extend(check_packs::check_packs());
    all.extend(listings::listings());
    all.extend(made::made());
    all.extend(owed::owed());
    all.extend(passes::passes());
    all
}

pub fn run(how: How) -> (Vec<&'static str>, bool) {
    let mut story = Story::default();
    let mut alone = false;
    let mut change: Option<fn(&World)> = None;
    match how {
        How::Lie(edit) => {
            story.edit = Box::new(edit);
            alone = true;
        }
        How::BigLie(edit) => story.edit = Box::new(edit),
        How::Story(tell) => tell(&mut story),
        How::Owed(which, change) => {
            story.edit = owed::with(which, change);
            alone = true;
        }
        How::Files(act) => change = Some(act),
    }
    // A drill that is not closed is overdue only once its deadline has passed.
    let as_of = (!story.close).then(|| Timestamp::now().plus_secs(200_000));
    let world = build(story);
    if let Some(act) = change {
        act(&world);
    }
    (world.names_with(&VerifyOptions { checkpoint: None, as_of }), alone)
}

pub fn all_end_in_their_fault(tampers: Vec<Tamper>) {
    let mut wrong = Vec::new();
    for (name, rule, how) in tampers {
        let (found, alone) = run(how);
        if !found.contains(&rule.as_str()) || (alone && found != [rule.as_str()]) {
            wrong.push(format!("{name}: expected {rule}, found {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_rule_has_a_tamper() {
    let tried: Vec<Rule> = tampers().into_iter().map(|(_, rule, _)| rule).collect();
    let anchored = [Rule::AnchorSignatureBad, Rule::TruncatedSinceAnchor, Rule::ForkedFromAnchor];
    let untried: Vec<&str> =
        Rule::ALL.iter().filter(|rule| !tried.contains(rule) && !anchored.contains(rule)).map(|rule| rule.as_str()).collect();
    assert_eq!(untried, [] as [&str; 0]);
}
