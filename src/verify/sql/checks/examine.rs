//! One check against one database: whether it applies, what its statement answers, and what that means.
//!
//! Not here: which checks run and how their results are told (`runner`).

use std::collections::BTreeMap;

use crate::model::check::{CheckOutcome, CheckResult};
use crate::model::check_kind::CheckKind;
use crate::model::clock::Timestamp;
use crate::model::failure::FailureKind;
use crate::model::threshold::{Decimal, stamp};
use crate::verify::sql::checks::answer::Answer;
use crate::verify::sql::checks::canary;
use crate::verify::sql::checks::demands::CheckDemands;
use crate::verify::sql::checks::header::{Check, Each};
use crate::verify::sql::checks::redact::REDACTED;
use crate::verify::sql::checks::session::{Session, Trouble};
use crate::verify::sql::checks::sight::Sight;
use crate::verify::sql::checks::{measured, names, placeholders, subjects};
use crate::verify::sql::reading::Engine;

/// Names that a reason lists at most.
const SHOWN: usize = 5;

/// How a check ended, and why where that is not `pass`.
pub type Verdict = (CheckOutcome, Option<String>);

/// What the checks of one run share.
pub struct Examination<'a> {
    session: &'a mut Session,
    demands: &'a CheckDemands,
    /// Why nothing is in the database at all, once that has been asked.
    emptiness: Option<Option<String>>,
    /// What the reader is shown.
    sight: Sight,
}

impl<'a> Examination<'a> {
    /// In `session`, held against `demands`.
    pub fn new(session: &'a mut Session, demands: &'a CheckDemands) -> Self {
        Self { session, demands, emptiness: None, sight: Sight::default() }
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        self.session.engine()
    }

    /// Runs `check`; what it finds goes into `result`, how it ended is the answer.
    ///
    /// # Errors
    /// Where it cannot be run, or where the engine calls its data corrupt.
    pub async fn run(&mut self, check: &Check, result: &mut CheckResult) -> Result<Verdict, Trouble> {
        self.sight.of(self.session, check).await?;
        let mut empty = Vec::new();
        for table in &check.requires {
            let table = names::table(&self.demands.names, table);
            match self.session.has_rows(table, check.timeout).await? {
                None => return Err(Trouble::said(format!("table {table} is absent"))),
                Some(false) => empty.push(table),
                Some(true) => {}
            }
        }
        let mut whole = BTreeMap::new();
        for table in names::called(check, &self.demands.names) {
            if let Some(qualified) = self.session.qualified(&table).await? {
                whole.insert(table, qualified);
            }
        }
        if let Some(looks_at) = &check.looks_at {
            let looks_at = self.mapped(check, looks_at, &whole)?;
            if self.one_value(&looks_at, check).await?.is_none_or(|text| text == "0") {
                return self.nothing_of_the_kind(result).await;
            }
        }
        // Where a check names one in braces, it is the extension's own, whatever else is called so.
        let mut functions = Vec::new();
        for function in &check.requires_functions {
            let Some(found) = self.session.function(function, check.sql.contains(&format!("{{{function}}}"))).await? else {
                let said = format!("function {function} is absent; its extension is not installed in this database");
                return Err(Trouble::said(said));
            };
            functions.push((function.as_str(), found));
        }
        let vacuous = (!empty.is_empty()).then(|| format!("empty: {}", empty.join(", ")));
        let engine = self.session.engine().name;
        let sql = self.mapped(check, &check.sql, &whole)?;
        let sql = placeholders::exact(&sql, engine).map_err(Trouble::said)?;
        let functions: Vec<(&str, &str)> = functions.iter().map(|(name, found)| (*name, found.as_str())).collect();
        let check = &Check { sql: placeholders::filled(&sql, &functions), ..check.clone() };
        match check.kind {
            CheckKind::Violations => self.violations(check, vacuous, result).await,
            CheckKind::Canary => self.canary(check, result).await,
            CheckKind::Scalar => match self.number(check, result).await? {
                Some(value) => self.judge(check, value, None, vacuous).await,
                None if vacuous.is_some() => Ok((CheckOutcome::Vacuous, vacuous)),
                None => Err(Trouble::said("the value is NULL")),
            },
            CheckKind::BaselineScalar if check.each.is_some() => self.beside_baselines(check, result).await,
            CheckKind::BaselineScalar => self.beside_baseline(check, vacuous, result).await,
            CheckKind::Freshness => self.freshness(check, vacuous, result).await,
        }
    }

    /// A statement of `check` under the names of its database.
    fn mapped(&self, check: &Check, sql: &str, whole: &BTreeMap<String, String>) -> Result<String, Trouble> {
        names::mapped((check, sql), &self.demands.names, whole, &|name| self.session.quoted(name)).map_err(Trouble::said)
    }

    /// There is nothing to look at: no fault of a database that is there, and no proof in one that is not.
    async fn nothing_of_the_kind(&mut self, result: &mut CheckResult) -> Result<Verdict, Trouble> {
        if subjects::tables(self.session).await?.is_empty() {
            return Ok((CheckOutcome::Vacuous, Some("there is no table in it".into())));
        }
        result.not_applicable = true;
        Ok((CheckOutcome::Untested, Some("not applicable: there is nothing of its kind in this database".into())))
    }

    async fn freshness(&mut self, check: &Check, vacuous: Option<String>, result: &mut CheckResult) -> Result<Verdict, Trouble> {
        let Some(text) = self.scalar(check).await? else {
            return Ok((CheckOutcome::Vacuous, Some(vacuous.unwrap_or_else(|| "there is no stamp".into()))));
        };
        let newest = stamp(&text).ok_or_else(|| Trouble::said(format!("{REDACTED} is no time")))?;
        result.actual = Some(Timestamp::from_secs(newest).to_string());
        if let Some(until) = self.demands.written_until.filter(|until| check.bounded && newest > until.as_secs()) {
            let after = newest - until.as_secs();
            return Ok((CheckOutcome::Fail, Some(format!("written {after} s after {until}, the time that was restored to"))));
        }
        let age = self.demands.reference.unwrap_or_else(Timestamp::now).as_secs() - newest;
        let ahead = u64::try_from(-age).unwrap_or(0);
        // One stamp from the future hides how old all the others are.
        if ahead > check.ahead.as_secs() {
            let said = format!("future: the newest stamp lies {ahead} s ahead, at most {} s expected", check.ahead.as_secs());
            return Ok((CheckOutcome::Fail, Some(said)));
        }
        self.judge(check, Decimal::whole(u64::try_from(age).unwrap_or(0)), None, vacuous).await
    }

    /// A number beside the manifest's.
    async fn beside_baseline(&mut self, check: &Check, vacuous: Option<String>, result: &mut CheckResult) -> Result<Verdict, Trouble> {
        // The number of a table's rows is recorded under the name that the database has for it.
        let name = match check.baseline.strip_prefix("rows.") {
            Some(table) => format!("rows.{}", names::table(&self.demands.names, table)),
            None => check.baseline.clone(),
        };
        let Some(text) = self.demands.baselines.get(&name) else {
            result.not_applicable = check.baseline_optional;
            return Ok(no_baseline(check));
        };
        // A part has no more rows than the whole: that is all that it says of it.
        if name.strip_prefix("rows.").is_some_and(|table| self.demands.has_part_of(table)) && !check.error_if.text().starts_with('<') {
            return Ok(in_part(&[name]));
        }
        result.expected = Some(text.clone());
        let baseline = Decimal::parse(text).ok_or_else(|| Trouble::said(format!("baseline {} is `{text}`, no number", check.baseline)))?;
        match self.number(check, result).await? {
            Some(value) => self.judge(check, value, Some(baseline), vacuous).await,
            None if vacuous.is_some() => Ok((CheckOutcome::Vacuous, vacuous)),
            None => Err(Trouble::said("the value is NULL")),
        }
    }

    /// A number of each table or column beside the manifest's.
    async fn beside_baselines(&mut self, check: &Check, result: &mut CheckResult) -> Result<Verdict, Trouble> {
        let found = measured::measure(self.session, self.demands, check, result).await?;
        if self.demands.recording && !result.measured.is_empty() {
            return Ok((CheckOutcome::Pass, None));
        }
        let untested = (!found.in_part.is_empty()).then(|| in_part(&found.in_part));
        if found.compared == 0
            && let Some(untested) = untested
        {
            return Ok(untested);
        }
        if found.compared == 0 {
            if self.demands.recording {
                return self.nothing_of_the_kind(result).await;
            }
            result.not_applicable = check.baseline_optional;
            return Ok(no_baseline(check));
        }
        let beyond = found.beyond.len() as u64;
        result.actual = Some(beyond.to_string());
        let columns = ["name", "expected", "found"].map(str::to_owned);
        let rows = found.beyond.into_iter().take(check.limit);
        result.rows.extend(rows.map(|row| shown(&columns, row.map(Some).to_vec(), &check.show)));
        if beyond > 0 {
            return Ok((CheckOutcome::Fail, Some(format!("of {} compared, {beyond} are {}", found.compared, check.error_if.text()))));
        }
        if let Some(untested) = untested {
            return Ok(untested);
        }
        Ok(match self.empty_database().await? {
            Some(reason) => (CheckOutcome::Vacuous, Some(reason)),
            None => (CheckOutcome::Pass, None),
        })
    }

    /// A planted value, byte for byte; only keyed digests of it leave this function.
    async fn canary(&mut self, check: &Check, result: &mut CheckResult) -> Result<Verdict, Trouble> {
        if self.demands.of_a_restore {
            let why = "the manifest is of a first restore, from which nobody knows what was planted in the source";
            return Ok((CheckOutcome::Untested, Some(why.into())));
        }
        let Some(expected) = self.demands.baselines.get(&check.baseline) else { return Ok(no_baseline(check)) };
        let Some(key) = &self.demands.hash_key else {
            return Ok((CheckOutcome::Untested, Some("no hash key: canaries are compared by keyed digest".into())));
        };
        result.expected = Some(expected.clone());
        let answer = self.session.run(&check.sql, check.timeout, 1, check.privileged).await?;
        let found = match (&answer.rows[..], &answer.exact[..], answer.total) {
            ([row], [exact], 1) => row[0].as_deref().zip(exact.as_ref()),
            ([], _, 0) => None,
            _ => return Err(not_one_value(&answer)),
        };
        let Some(found) = found else { return Ok((CheckOutcome::Fail, Some("the canary did not come back".into()))) };
        let (found, outcome, why) = canary::judge(key, expected, found).map_err(Trouble::said)?;
        result.actual = Some(found);
        Ok((outcome, why.map(str::to_owned)))
    }

    /// One number; none where the value is NULL. What is no number is a value of the data, and is not told.
    async fn number(&mut self, check: &Check, result: &mut CheckResult) -> Result<Option<Decimal>, Trouble> {
        let Some(text) = self.scalar(check).await? else { return Ok(None) };
        let number = Decimal::parse(&text);
        result.actual = Some(if number.is_some() { text } else { REDACTED.into() });
        number.map(Some).ok_or_else(|| Trouble::said("the value is no number of at most 9 decimals, and cannot be compared"))
    }

    /// A failure stands even where a table is empty (a lost ledger is no excuse for its balances); a pass does not.
    async fn judge(
        &mut self,
        check: &Check,
        value: Decimal,
        baseline: Option<Decimal>,
        vacuous: Option<String>,
    ) -> Result<Verdict, Trouble> {
        if check.error_if.is_met(value, baseline).map_err(Trouble::said)? {
            return Ok((CheckOutcome::Fail, Some(format!("{} {}", check.kind.as_str(), check.error_if.text()))));
        }
        // What names no table looks at the database as a whole.
        let vacuous = if vacuous.is_none() && check.requires.is_empty() { self.empty_database().await? } else { vacuous };
        if let Some(reason) = vacuous {
            return Ok((CheckOutcome::Vacuous, Some(reason)));
        }
        match &check.warn_if {
            Some(warn) if warn.is_met(value, baseline).map_err(Trouble::said)? => {
                Ok((CheckOutcome::Warn, Some(format!("{} {}", check.kind.as_str(), warn.text()))))
            }
            _ => Ok((CheckOutcome::Pass, None)),
        }
    }

    async fn empty_database(&mut self) -> Result<Option<String>, Trouble> {
        if self.emptiness.is_none() {
            self.emptiness = Some(subjects::emptiness(self.session).await?);
        }
        Ok(self.emptiness.clone().flatten())
    }

    /// The number of offending rows, and the first of them into the result.
    async fn violations(&mut self, check: &Check, vacuous: Option<String>, result: &mut CheckResult) -> Result<Verdict, Trouble> {
        let Some((tables, statements)) = self.statements(check).await? else {
            return match check.each {
                Some(Each::Table) => Ok((CheckOutcome::Vacuous, Some("there is no table in it".into()))),
                _ => self.nothing_of_the_kind(result).await,
            };
        };
        let mut total = 0;
        let (mut looked_at, is_table_check) = (0, starts_with_check_table(&check.sql));
        // What fails stands, whatever else could not be looked at; a pass does not.
        let mut unseen: Option<Trouble> = None;
        for statement in &statements {
            // A table's check answers with lines of which some are good news: all of them are looked at.
            let keep = if is_table_check { usize::MAX } else { check.limit };
            let answered = self.session.run(statement, check.timeout, keep, check.privileged).await;
            let answered = answered.and_then(|mut answer| {
                let is_looked_at = !is_table_check || without_good_news(&mut answer).map_err(|trouble| self.session.noted(trouble))?;
                Ok((answer, is_looked_at))
            });
            let (answer, is_looked_at) = match answered {
                Ok(answered) => answered,
                Err(trouble) if trouble.corrupt => return Err(trouble),
                Err(trouble) => {
                    unseen.get_or_insert(trouble);
                    continue;
                }
            };
            looked_at += usize::from(is_looked_at);
            total += answer.total;
            let room = check.limit.saturating_sub(result.rows.len());
            result.rows.extend(answer.rows.into_iter().take(room).map(|row| shown(&answer.columns, row, &check.show)));
        }
        result.actual = Some(total.to_string());
        let mut vacuous = vacuous;
        if let Some(trouble) = unseen {
            let judged = self.judge(check, Decimal::whole(total), None, None).await?;
            return if judged.0 == CheckOutcome::Fail { Ok(judged) } else { Err(trouble) };
        }
        if total == 0 && looked_at == 0 {
            vacuous = Some("no table has an engine that can check it".into());
        } else if total == 0 && !tables.is_empty() && subjects::all_empty(self.session, &tables).await {
            if matches!(check.each, Some(Each::Counter | Each::DateColumn | Each::NumberColumn)) && self.empty_database().await?.is_none() {
                result.actual = None;
                return self.nothing_of_the_kind(result).await;
            }
            vacuous = Some("every table that it looks at is empty".into());
        }
        self.judge(check, Decimal::whole(total), None, vacuous).await
    }

    /// The tables that are looked at and the statements that do so; none where an `each` has nothing to repeat for.
    async fn statements(&mut self, check: &Check) -> Result<Option<(Vec<String>, Vec<String>)>, Trouble> {
        let sql = &check.sql;
        let pairs: Vec<(String, String)> = match check.each {
            None => return Ok(Some((Vec::new(), vec![sql.clone()]))),
            Some(Each::Table) => {
                let tables = subjects::tables(self.session).await?;
                let engine = self.session.engine().name;
                tables.into_iter().map(|table| (table.clone(), placeholders::for_table(sql, &table, engine))).collect()
            }
            Some(Each::ForeignKey) => {
                let keys = subjects::foreign_keys(self.session).await?;
                keys.iter().map(|key| (key.child.clone(), placeholders::for_key(sql, key))).collect()
            }
            Some(Each::Sequence) => {
                let sequences = subjects::sequences(self.session).await?;
                sequences.iter().map(|(name, counter)| (counter.clone(), placeholders::for_sequence(sql, name, counter))).collect()
            }
            // The catalog is looked into, and no table.
            Some(Each::RoutineReference) => {
                let references = subjects::references(self.session).await?;
                let statements = references.iter().map(|(name, reference)| placeholders::for_reference(sql, name, reference));
                let statements: Vec<String> = statements.collect();
                return Ok(if statements.is_empty() { None } else { Some((Vec::new(), statements)) });
            }
            Some(Each::Counter) => {
                let counters = subjects::counters(self.session).await?;
                counters.iter().map(|counter| (counter.column.table.clone(), placeholders::for_counter(sql, counter))).collect()
            }
            Some(Each::NumberColumn) => {
                let columns = subjects::number_columns(self.session).await?;
                let engine = self.session.engine().name;
                columns.iter().map(|column| (column.table.clone(), placeholders::for_sum(sql, column, engine))).collect()
            }
            Some(Each::DateColumn) => {
                let columns = subjects::date_columns(self.session).await?;
                columns.iter().map(|column| (column.table.clone(), placeholders::for_column(sql, column))).collect()
            }
        };
        Ok(if pairs.is_empty() { None } else { Some(pairs.into_iter().unzip()) })
    }

    async fn scalar(&mut self, check: &Check) -> Result<Option<String>, Trouble> {
        self.one_value(&check.sql, check).await
    }

    async fn one_value(&mut self, sql: &str, check: &Check) -> Result<Option<String>, Trouble> {
        let answer = self.session.run(sql, check.timeout, 1, check.privileged).await?;
        match (&answer.rows[..], answer.total) {
            ([row], 1) if row.len() == 1 => Ok(row[0].clone()),
            _ => Err(not_one_value(&answer)),
        }
    }
}

fn not_one_value(answer: &Answer) -> Trouble {
    let columns = answer.rows.first().map_or(0, Vec::len);
    Trouble::said(format!("expected one row with one value, found {} rows of {columns} columns", answer.total))
}

fn no_baseline(check: &Check) -> Verdict {
    (CheckOutcome::Untested, Some(format!("no baseline {}: no manifest holds it", check.baseline)))
}

/// Beside a prefix, or some partitions.
fn in_part(names: &[String]) -> Verdict {
    let shown: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
    let more = if names.len() > SHOWN { format!(" and {} more", names.len() - SHOWN) } else { String::new() };
    let said = format!("the manifest has a part at most of {}{more}, and counts the rows of that part", shown.join(", "));
    (CheckOutcome::Untested, Some(said))
}

fn starts_with_check_table(sql: &str) -> bool {
    let mut words = sql.split_whitespace();
    let mut is = |expected: &str| words.next().is_some_and(|word| word.eq_ignore_ascii_case(expected));
    is("CHECK") && is("TABLE")
}

/// `CHECK TABLE` answers `(Table, Op, Msg_type, Msg_text)`: a status of OK is no violation, and neither is a note that an engine cannot be
/// checked; but then nothing was looked at, which is what is answered here. That it is denied is no finding.
fn without_good_news(answer: &mut Answer) -> Result<bool, Trouble> {
    let text = |row: &[Option<String>], index: usize| row.get(index).cloned().flatten().unwrap_or_default();
    if answer.rows.iter().any(|row| text(row, 2).eq_ignore_ascii_case("error") && text(row, 3).contains("command denied")) {
        return Err(Trouble::denied("the right to check a table"));
    }
    // Why the server could not look is told in lines like those of damage, and with a verdict behind them.
    let is_error = |row: &[Option<String>]| text(row, 2).eq_ignore_ascii_case("error");
    let accident = |words: &[&str]| answer.rows.iter().any(|row| is_error(row) && words.iter().any(|word| text(row, 3).contains(word)));
    if accident(&["Lock wait timeout", "Deadlock found", "Got timeout"]) {
        return Err(Trouble { kind: FailureKind::Busy, ..Trouble::said("somebody holds a lock on the table: it was not looked at") });
    }
    if accident(&["was interrupted", "was killed", "Connection was killed", "Server shutdown"]) {
        return Err(Trouble::said("the look at the table was interrupted"));
    }
    let before = answer.rows.len();
    answer.rows.retain(|row| text(row, 2) != "note");
    let notes_alone = before > 0 && answer.rows.is_empty();
    answer.rows.retain(|row| !(text(row, 2) == "status" && matches!(text(row, 3).as_str(), "OK" | "Table is already up to date")));
    answer.total = answer.rows.len() as u64;
    Ok(!notes_alone)
}

fn shown(columns: &[String], row: Vec<Option<String>>, show: &[String]) -> Vec<(String, String)> {
    let value = |name: &str, value: Option<String>| {
        if show.iter().any(|shown| shown.eq_ignore_ascii_case(name)) { value.unwrap_or_else(|| "NULL".into()) } else { REDACTED.into() }
    };
    columns.iter().zip(row).map(|(name, cell)| (name.clone(), value(name, cell))).collect()
}
