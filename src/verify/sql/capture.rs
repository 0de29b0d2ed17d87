//! A database into a manifest: every table's schema leaf, bucket leaves and sidecar, rows' names where they are asked for, the number of rows as
//! a baseline, and the position.
//!
//! A table that cannot be read to its end ends the capture: a manifest must not know less than it says.
//!
//! Not here: how a table that was read is written (`writing`).

use std::collections::BTreeMap;
use std::pin::pin;

use futures_util::future::{Either, select};
use serde_json::{Value, json};

use crate::model::capture::CaptureMode;
use crate::model::clock::Timestamp;
use crate::model::failure::{Failure, FailureKind};
use crate::model::source_url::SourceUrl;
use crate::monitor::{Event, Monitor};
use crate::signing::hash_key::HashKey;
use crate::signing::keys::SigningKey;
use crate::verify::leaf::Form;
use crate::verify::manifest::header::{Header, ManifestKind};
use crate::verify::manifest::request::{CaptureRequest, Leaves, Sidecar};
use crate::verify::manifest::writer::{Draft, Finish, ManifestWriter};
use crate::verify::sql::connect::access::Access;
use crate::verify::sql::connect::errors;
use crate::verify::sql::database::Database;
use crate::verify::sql::kept::{self, Kept};
use crate::verify::sql::not_read::NotRead;
use crate::verify::sql::position;
use crate::verify::sql::reading::Cause;
use crate::verify::sql::rows::canon::{ENCODING, LOGICAL_ENCODING};
use crate::verify::sql::rows::digester::Meaning;
use crate::verify::sql::rows::key_order::KeyOrder;
use crate::verify::sql::rows::row_keys::RowKeys;
use crate::verify::sql::rows::table::Table;
use crate::verify::sql::scan::{self, Way};
use crate::verify::sql::scope::{self, Scope};
use crate::verify::sql::writing::{TableParts, TableWriter};

/// Rows whose sorting and writing takes longer than the definitions.
const MANY: u64 = 1 << 17;

/// The mode of a capture where the operator names none: a server gives one consistent snapshot, a file is taken to stand still.
pub fn default_mode(url: &SourceUrl) -> CaptureMode {
    match url {
        SourceUrl::Sqlite { .. } => CaptureMode::Sealed,
        _ => CaptureMode::SnapshotExact,
    }
}

/// The baseline that holds a table's number of rows.
pub fn rows_baseline(table: &str) -> String {
    format!("rows.{table}")
}

/// Reads every table of `url` and writes the manifest. A database without tables gives a manifest that proves nothing: its
/// comparison is inconclusive.
pub async fn capture(
    url: &SourceUrl,
    access: &Access,
    request: &CaptureRequest,
    hash_key: &HashKey,
    signer: Option<(&str, &SigningKey)>,
    monitor: &dyn Monitor,
) -> Result<Header, Failure> {
    check_mode(request.mode)?;
    scope::check(request)?;
    let draft = Draft {
        kind: ManifestKind::TableSet,
        source: url.to_string(),
        captured_start: Timestamp::now(),
        mode: request.mode,
        recovery_point_id: request.recovery_point_id.clone(),
        encoding: if request.tables.logical { LOGICAL_ENCODING } else { ENCODING }.to_owned(),
        hash_key_id: Some(hash_key.id()),
        digests: vec!["blake3-keyed".to_owned()],
        view: None,
        choices: Default::default(),
    };
    // Before the first connection: an output that cannot be written must not cost a reading.
    let mut writer = TableWriter::new(ManifestWriter::create(&request.out, draft)?);
    let mut db = Database::open(url, access).await?;
    if let Some(said) = db.caution() {
        monitor.event(Event::Note(&said));
    }
    let kept = match &access.state {
        None => Ok(None),
        Some(dir) => {
            let encoding = if request.tables.logical { LOGICAL_ENCODING } else { ENCODING };
            let of = json!({"mode": request.mode.as_str(), "tables": format!("{:?}", request.tables)});
            let purpose = kept::purpose(&url.to_string(), encoding, hash_key, of);
            Kept::open(dir, purpose, db.standing().await, hash_key, monitor)
        }
    };
    let result = match kept {
        Ok(mut kept) => {
            let reading = Box::pin(read_all(&mut db, request, (hash_key, kept.as_mut()), &mut writer, monitor));
            reading.await.map(|read| (read, kept))
        }
        Err(failure) => Err(failure),
    };
    let two_states = db.two_states().filter(|_| request.mode != CaptureMode::PositionBounded);
    db.close().await;
    let ((finish, moved, unprotected), kept) = match result {
        Ok(read) => read,
        Err(failure) => {
            writer.abandon().await;
            return Err(failure);
        }
    };
    let writer = writer.finish().await?;
    if let Some(Failure { message, .. }) = two_states {
        return Err(Failure::new(FailureKind::Refused, format!("{message}: no manifest of mode {}", request.mode))
            .hint("run it again while the server stays up, or name --mode position-bounded, which claims less"));
    }
    let proof = finish.position.as_ref().is_some_and(|position| position::is_proof(&position["before"]));
    if request.mode == CaptureMode::SnapshotExact && !unprotected.is_empty() && (moved || !proof) {
        let why = if moved { "the source moved while it was read" } else { "the server shows no position that would prove it stood still" };
        let message = format!("{url}: {} have no snapshot ({}), and {why}", plural(unprotected.len()), unprotected.join(", "));
        return Err(Failure::new(FailureKind::Refused, message)
            .hint("stop what writes to it and name --mode sealed, or --mode position-bounded, which claims less"));
    }
    if moved && request.mode == CaptureMode::Sealed {
        return Err(Failure::new(
            FailureKind::Refused,
            format!("{url} changed while it was read, and mode `sealed` says that it stands still"),
        )
        .hint("stop what writes to it, or name another mode with --mode"));
    }
    let header = writer.finish(finish, signer)?;
    kept.map_or(Ok(()), Kept::finish)?;
    Ok(header)
}

fn plural(tables: usize) -> String {
    if tables == 1 { "1 table".to_owned() } else { format!("{tables} tables") }
}

fn check_mode(mode: CaptureMode) -> Result<(), Failure> {
    match mode {
        CaptureMode::SnapshotExact
        | CaptureMode::Sealed
        | CaptureMode::FirstRestore
        | CaptureMode::DualPath
        | CaptureMode::PositionBounded
        | CaptureMode::AppendPrefix => Ok(()),
        CaptureMode::Invariants => Err(Failure::invalid("mode `invariants` has no manifest: it is what SQL checks alone can say")
            .hint("run `attestore check SOURCE`, or name snapshot-exact, position-bounded, append-prefix, sealed or first-restore")),
        CaptureMode::VersionExact | CaptureMode::ExportExact | CaptureMode::WindowBounded => {
            Err(Failure::invalid(format!("mode `{mode}` is not for databases"))
                .hint("expected snapshot-exact, position-bounded, append-prefix, sealed or first-restore"))
        }
    }
}

async fn read_all(
    db: &mut Database,
    request: &CaptureRequest,
    (hash_key, mut kept): (&HashKey, Option<&mut Kept>),
    writer: &mut TableWriter,
    monitor: &dyn Monitor,
) -> Result<(Finish, bool, Vec<String>), Failure> {
    let keys = RowKeys::new(hash_key);
    let before = db.position().await;
    // What the reader is not shown would be missing from the manifest, and nobody would miss it later.
    if let Some(failure) = db.partial_sight().await? {
        return Err(failure);
    }
    let tables = db.tables().await?;
    let (mut scope, mut tables, said) = Scope::declare(db, &request.tables, tables).await?;
    said.iter().for_each(|said| monitor.event(Event::Note(said)));
    if let Some(watermark) = scope.watermark.as_ref().filter(|watermark| !watermark.left_out.is_empty()) {
        let said = format!(
            "tables without the column {}, of which the manifest says nothing: {}",
            watermark.column,
            watermark.left_out.join(", ")
        );
        monitor.event(Event::Note(&said));
    }
    let unprotected =
        tables.iter().filter_map(|table| table.unprotected.as_ref().map(|engine| format!("{} ({engine})", table.name))).collect();
    let not_read = NotRead::of(db).await?;
    if let Some(kinds) = not_read.in_one_line() {
        monitor.event(Event::Note(&format!("not read, since rows are those of tables: {kinds}")));
    }
    let columns: Vec<String> =
        tables.iter().flat_map(|table| table.left_out.iter().map(|column| format!("{}.{column}", table.name))).collect();
    if !columns.is_empty() {
        monitor.event(Event::Note(&format!("left out of the rows: {}", columns.join(", "))));
    }
    let mut definitions = None;
    let mut totals: BTreeMap<String, u64> = [("tables".to_owned(), tables.len() as u64), ("rows".to_owned(), 0)].into();
    let mut baselines: BTreeMap<String, String> = request.baselines.clone();
    let mut described = serde_json::Map::new();
    let mut opaque = serde_json::Map::new();
    for table in &mut tables {
        let meaning = scope.meaning(table, None);
        let table = &*table;
        let kept = kept.as_deref_mut();
        let order = scope.order_of(table).filter(|_| request.tables.leaves == Leaves::Ranges);
        if order.is_none() && request.tables.leaves == Leaves::Ranges {
            let said = "its primary key is not made of whole numbers, days or instants that fit eight bytes: its leaves are buckets";
            monitor.event(Event::Note(&format!("table {}: {said}", table.name)));
        }
        let (leaves, sidecar) = (request.tables.leaves, request.tables.sidecar);
        let of = Of { leaves, sidecar, order, sidecar_max_rows: request.sidecar_max_rows };
        let rows = capture_table(db, (table, &meaning), (&keys, kept), of, writer, monitor).await?;
        // While many rows are sorted and written, the server has nothing else to do.
        if definitions.is_none() && rows >= MANY {
            definitions = Some(db.definitions().await?);
        }
        *totals.entry("rows".to_owned()).or_default() += rows;
        baselines.insert(rows_baseline(&table.name), rows.to_string());
        described.insert(table.name.clone(), table.describe());
        let names = table.opaque_types();
        if !names.is_empty() {
            monitor.event(Event::Note(&format!(
                "table {}: compared as opaque bytes, within one major version: {}",
                table.name,
                names.join(", ")
            )));
            opaque.insert(table.name.clone(), json!(names));
        }
    }
    let mut definitions = match definitions {
        Some(definitions) => definitions,
        None => db.definitions().await?,
    };
    definitions.leave_out_tables(not_read.elsewhere());
    if let Some(hidden) = definitions.hidden() {
        monitor.event(Event::Note(&format!("not in the manifest, since the reader is not shown it in full: {hidden}")));
    }
    if request.tables.sidecar != Sidecar::Hashes && !tables.is_empty() {
        let said = "the manifest holds primary keys in the clear, as --sidecar asks: keep it where such data may lie, it cannot be taken back from copies";
        monitor.event(Event::Note(said));
    }
    if tables.is_empty() {
        monitor.event(Event::Note("the database has no tables: its manifest proves nothing"));
    }
    let after = db.moved_since(&before).await;
    let moved = after.as_ref().is_some_and(|after| position::is_proof(&before) || position::is_proof(after));
    if let Some(after) = &after {
        monitor.event(Event::Note(&position::moved("the source", &before, after)));
    }
    // Where only the server's own records moved its log, it stood still.
    let after = after.unwrap_or_else(|| before.clone());
    let engine = db.engine();
    let mut position = json!({"engine": engine.name, "version": engine.version, "before": before, "after": after, "tables": described});
    if !opaque.is_empty() {
        position["opaque"] = Value::Object(opaque);
    }
    position["definitions"] = definitions.to_value();
    not_read.state(&mut position);
    scope.ranges.extend(writer.all(monitor).await?);
    scope.state(&mut position);
    Ok((Finish { captured_end: None, counts: totals, baselines, position: Some(position) }, moved, unprotected))
}

/// What a table's leaves and its sidecar are made of.
struct Of {
    leaves: Leaves,
    sidecar: Sidecar,
    /// Of leaves that are ranges.
    order: Option<KeyOrder>,
    sidecar_max_rows: u64,
}

/// Gives the number of rows; what was read is still being written then.
async fn capture_table(
    db: &mut Database,
    (table, meaning): (&Table, &Meaning),
    (keys, kept): (&RowKeys, Option<&mut Kept>),
    of: Of,
    writer: &mut TableWriter,
    monitor: &dyn Monitor,
) -> Result<u64, Failure> {
    let form = match (of.leaves, &of.order) {
        (Leaves::Sums, _) => Form::Sums,
        // Ranges are sorted, however many rows there are.
        (_, Some(_)) => Form::Sorted,
        (_, None) => Form::SortedUpTo(of.sidecar_max_rows),
    };
    let way = Way { keys, form, order: of.order.as_ref(), budget: writer.allowance(), notes: (of.sidecar, of.sidecar_max_rows) };
    let reading = Box::pin(scan::gather(db, (table, meaning), way, kept, monitor));
    let read = match select(reading, pin!(writer.failed())).await {
        Either::Left((read, _)) => read,
        Either::Right((failure, _)) => return Err(failure),
    };
    let gathered = read.map_err(|error| match error.cause {
        Cause::Stopped(failure) => failure,
        Cause::Unreadable(failure) => {
            let hint = what_to_do(failure.kind);
            failure.context(format!("table {} cannot be read after {} rows", table.name, error.rows)).hint(hint)
        }
    })?;
    if of.sidecar != Sidecar::Hashes && !gathered.is_noted() {
        let why = if table.key.is_empty() { "it has no primary key" } else { "it has more rows than a sidecar is kept of" };
        monitor.event(Event::Note(&format!("table {}: {why}: the manifest names none of its rows", table.name)));
    }
    let rows = gathered.rows();
    let (order, sidecar_max_rows) = (of.order, of.sidecar_max_rows);
    let parts = TableParts { table: table.name.clone(), schema: table.schema_digest()?, order, sidecar_max_rows };
    writer.write(gathered, parts, monitor).await?;
    Ok(rows)
}

/// A manifest needs every table: what to do where one cannot be read. Nothing is repaired or dropped for a right or a lock.
fn what_to_do(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Denied => errors::GIVE_RIGHTS,
        FailureKind::Busy => {
            "a manifest needs every table: run it again when nobody locks or changes this one, or name a copy; nothing is wrong with it"
        }
        FailureKind::TooLarge => {
            "a manifest needs every table, and this one has a value that is not held at once; nothing is wrong with it"
        }
        kind if kind.is_outside_the_data() => {
            "nothing is said of the data: check that the server is up and lets this machine in, and run it again"
        }
        _ => "a manifest needs every table; repair or drop the table, or capture from a copy that can be read",
    }
}
