//! What a database defines beside its tables against what its manifest says: how much is expected, and what became of it.
//!
//! What was not reached, or is not shown, stays expected: a comparison that was cut short counts as much as one that was not.
//!
//! Not here: how definitions are told apart (`definitions::differences`, `beside`).

use serde_json::Value;

use crate::model::failure::{Failure, FailureKind};
use crate::model::not_compared;
use crate::monitor::Event;
use crate::verify::sql::compare::beside;
use crate::verify::sql::compare::tables::Run;
use crate::verify::sql::connect::errors::GIVE_RIGHTS;
use crate::verify::sql::database::Database;
use crate::verify::sql::definitions::kinds::Definitions;
use crate::verify::sql::definitions::{behind, differences};

impl Run<'_> {
    /// What is defined beside tables, as far as both sides show it; within one engine only.
    pub async fn definitions(&mut self, db: &mut Database, position: Option<&Value>) {
        let Some(mut expected) = self.expected_definitions(position) else { return };
        let (engine, own) = (position.and_then(|position| position["engine"].as_str()).unwrap_or_default(), db.engine().name);
        if engine != own {
            let said =
                format!("the manifest is of {engine} and this is {own}: each words definitions in its own way, they are not compared");
            self.monitor.event(Event::Note(&said));
            self.not_compared(not_compared::OF_ANOTHER_ENGINE);
            return;
        }
        expected.leave_out_tables(&self.elsewhere);
        if self.result.cut_short.is_some() {
            return beside::not_reached(&expected.to_value(), &mut self.result);
        }
        let mut now = match db.definitions().await {
            Ok(now) => now,
            Err(failure) => return beside::not_read(self.monitor, Some(&expected.to_value()), failure, &mut self.result),
        };
        self.retain_closed(&mut now);
        now.leave_out_tables(&self.elsewhere);
        if self.is_earlier {
            self.not_come_to(behind::take_out(&mut expected, &now));
        }
        if let Err(failure) = self.take_out_later_partitions(db, &expected, &mut now).await {
            return beside::not_read(self.monitor, Some(&expected.to_value()), failure, &mut self.result);
        }
        let before = &expected.to_value();
        self.result.left_out.extend(beside::words(before, &now));
        if differences::unseen(before, &now, true).is_some() {
            self.result.not_compared.insert(not_compared::GRANTS, not_compared::NOT_SHOWN);
        }
        if let Some(unseen) = differences::unseen(before, &now, false).filter(|_| self.partial_sight.is_none()) {
            let said = format!("in the manifest, and not shown to this reader in full: {unseen}");
            self.result.cut_short = Some(Failure::new(FailureKind::Denied, said).hint(GIVE_RIGHTS));
        }
        let class = |class| self.class(class);
        let counts = beside::tell(self.monitor, (before, &now), &self.said, class);
        self.result.unread_definitions = counts.unreadable;
        self.result.was_read("definitions", differences::shown(before, &now));
        self.result.definitions = Some(counts);
    }

    /// Of a backup that did not come back: every definition that is expected is unreadable, as its tables are.
    pub fn no_definitions(&mut self, position: Option<&Value>) {
        if let Some(expected) = self.expected_definitions(position) {
            beside::unreadable(&expected.to_value(), &mut self.result);
        }
    }

    /// Whether there are definitions to compare, as far as that is known before tables have been.
    pub fn will_compare_definitions(&self, position: Option<&Value>, engine: &str) -> bool {
        let is_given = |position: &Value| position["definitions"].is_object() && position["engine"] == engine;
        self.scope.logical.is_none() && position.is_some_and(is_given)
    }

    /// What the manifest says that is within its scope; nothing where it says nothing of definitions, or rows alone are compared.
    fn expected_definitions(&mut self, position: Option<&Value>) -> Option<Definitions> {
        let before = position.map(|position| &position["definitions"]).filter(|before| before.is_object());
        if self.scope.logical.is_some() {
            self.not_compared(not_compared::BY_MEANING);
            return None;
        }
        let mut expected = Definitions::of_value(before?);
        self.retain_closed(&mut expected);
        Some(expected)
    }

    /// What rows cover says nothing of definitions, and why.
    fn not_compared(&mut self, why: &'static str) {
        self.result.left_out.push(why.to_owned());
        self.result.not_compared.insert(not_compared::DEFINITIONS, why);
    }

    /// Numbers that the restore is behind, which is of a moment before the manifest's.
    fn not_come_to(&mut self, behind: Vec<String>) {
        if behind.is_empty() {
            return;
        }
        let said = format!("the restore is of a moment before the capture, and behind it: {}", behind.join(", "));
        self.result.left_out.push(said);
        self.result.not_compared.insert(not_compared::POSITIONS, not_compared::BEHIND);
    }

    /// Leaves those of closed tables and partitions alone, where the manifest is of such.
    fn retain_closed(&self, definitions: &mut Definitions) {
        let Some(closed) = &self.scope.closed else { return };
        definitions.retain_of_tables(|table, partition| {
            let of = |names: &Vec<String>| partition.is_none_or(|name| names.is_empty() || names.iter().any(|own| own == name));
            closed.get(table).is_some_and(of)
        });
    }
}
