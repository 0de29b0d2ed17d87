//! What the demo's estate holds: the same bytes on every machine for the same moment, from one seed.

use std::fmt::Write as _;

use crate::model::clock::Timestamp;

/// A small deterministic generator (SplitMix64; Steele, Lea and Flood, 2014): the demo's data must be the same everywhere, and nothing secret hangs on it.
#[derive(Clone, Debug)]
pub struct Generator(u64);

impl Generator {
    /// A stream of its own for each `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next_u64() % bound
    }

    /// One of `choices`.
    pub fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[usize::try_from(self.below(choices.len() as u64)).unwrap_or(0)]
    }
}

/// `len` bytes that are a function of `name`: the output stream of BLAKE3, so that they neither repeat nor compress.
pub fn content(name: &str, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(name.as_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// One key of the file vault.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VaultKey {
    /// The object's key.
    pub key: String,
    /// Its versions, oldest first; each is a length in bytes.
    pub versions: Vec<usize>,
    /// Whether a delete marker lies on top.
    pub deleted: bool,
}

impl VaultKey {
    /// The content of its version `seq`.
    pub fn content(&self, seq: usize) -> Vec<u8> {
        content(&format!("{}#{seq}", self.key), self.versions[seq])
    }
}

/// The largest object of the vault.
pub const LARGEST_OBJECT: usize = 64 << 20;

/// The file vault `bv-tna-backup-vault`: some 2,400 keys, one of 64 MiB, a tenth of them with several versions, a few deleted, and names that trip careless tools.
pub fn vault_keys() -> Vec<VaultKey> {
    let mut random = Generator::new(0x7a11);
    let mut keys = Vec::new();
    for index in 0..2_400u64 {
        let desk = random.pick(&["digital-transfer", "judgments", "web-archive", "newspapers"]);
        let key = format!("incoming/{desk}/2026/{:02}/{:02}/consignment-{index:05}.bin", 1 + index % 12, 1 + index % 28);
        let mut size = || match random.below(100) {
            0..80 => 512 + random.below(8 << 10),
            80..98 => (16 << 10) + random.below(64 << 10),
            _ => (1 << 20) + random.below(512 << 10),
        };
        let count = if index % 10 == 3 { 2 + index % 3 } else { 1 };
        let versions = (0..count).map(|_| usize::try_from(size()).unwrap_or(0)).collect();
        keys.push(VaultKey { key, versions, deleted: index % 400 == 17 });
    }
    let plain = |key: &str, len: usize| VaultKey { key: key.to_owned(), versions: vec![len], deleted: false };
    keys.push(plain("masters/parliament-roll-1832.tif", LARGEST_OBJECT));
    keys.push(plain("names/line\nbreak.txt", 64));
    keys.push(plain("names/two words + a plus.txt", 64));
    keys.push(plain("names/../dots.txt", 64));
    keys.push(plain("names/Überlieferung-\u{65e5}\u{672c}.txt", 64));
    keys.push(plain(&format!("names/{}", "x".repeat(1_018)), 64));
    keys.push(plain("names/empty", 0));
    keys
}

const FIRST: &[&str] = &[
    "Aisha", "Ben", "Chen", "Divya", "Elif", "Farid", "Grace", "Hana", "Ivan", "Jia", "Kofi", "Lena", "Mei", "Noor", "Omar", "Priya", "Zoë",
];
const LAST: &[&str] = &["Tan", "Lim", "Ng", "O'Brien", "García", "Rahman", "Koh", "Schmidt", "Wong", "Yusuf", "Novak", "Åkesson"];

/// SQL text of the same instant for every engine: `YYYY-MM-DD HH:MM:SS`.
fn sql_time(at: Timestamp) -> String {
    at.to_chrono().format("%Y-%m-%d %H:%M:%S").to_string()
}

/// The banking database: DDL and rows, as statements that PostgreSQL, MySQL and MariaDB all take. Every account's balance is the sum of its transactions.
pub fn bank_statements(customers: u64, now: Timestamp) -> Vec<String> {
    let mut random = Generator::new(0xba9c);
    let mut statements = vec![
        "CREATE TABLE customers (id BIGINT PRIMARY KEY, name VARCHAR(120) NOT NULL, email VARCHAR(160) NOT NULL, created_at TIMESTAMP NOT NULL)".to_owned(),
        "CREATE TABLE accounts (id BIGINT PRIMARY KEY, customer_id BIGINT NOT NULL, currency CHAR(3) NOT NULL, balance_minor BIGINT NOT NULL, \
         updated_at TIMESTAMP NOT NULL, FOREIGN KEY (customer_id) REFERENCES customers (id))"
            .to_owned(),
        "CREATE TABLE transactions (id BIGINT PRIMARY KEY, account_id BIGINT NOT NULL, amount_minor BIGINT NOT NULL, kind VARCHAR(16) NOT NULL, \
         booked_at TIMESTAMP NOT NULL, reference VARCHAR(80), FOREIGN KEY (account_id) REFERENCES accounts (id))"
            .to_owned(),
    ];
    let (mut people, mut accounts, mut bookings) = (Vec::new(), Vec::new(), Vec::new());
    let mut booking = 0u64;
    for id in 1..=customers {
        let (first, last) = (random.pick(FIRST), random.pick(LAST).replace('\'', "''"));
        let since = sql_time(now.plus_secs(-86_400 * (400 - i64::try_from(id % 300).unwrap_or(0))));
        people.push(format!("({id}, '{first} {last}', 'customer-{id}@example.com', '{since}')"));
        for account in [id * 10, id * 10 + 1] {
            let mut balance = 0i64;
            for _ in 0..8 {
                booking += 1;
                let amount = i64::try_from(random.below(500_000)).unwrap_or(0) - 150_000;
                balance += amount;
                let kind = if amount >= 0 { "credit" } else { "debit" };
                let at = sql_time(now.plus_secs(-i64::try_from(random.below(80_000)).unwrap_or(0) - 120));
                let reference = if booking.is_multiple_of(7) { "NULL".to_owned() } else { format!("'ref {booking:08}'") };
                bookings.push(format!("({booking}, {account}, {amount}, '{kind}', '{at}', {reference})"));
            }
            accounts.push(format!("({account}, {id}, 'SGD', {balance}, '{}')", sql_time(now.plus_secs(-60))));
        }
    }
    for (table, rows) in [("customers", people), ("accounts", accounts), ("transactions", bookings)] {
        for chunk in rows.chunks(1_000) {
            statements.push(format!("INSERT INTO {table} VALUES {}", chunk.join(", ")));
        }
    }
    statements
}

/// What the archive's applications record of each file: a PostgreSQL table with one column of most kinds.
pub fn processing_statements(consignments: u64, now: Timestamp) -> Vec<String> {
    let mut random = Generator::new(0xc0de);
    let mut statements = vec![
        "CREATE TABLE consignments (id BIGINT PRIMARY KEY, object_key TEXT NOT NULL, received_at TIMESTAMPTZ NOT NULL, bytes NUMERIC(20, 2) NOT NULL, \
         sealed BOOLEAN NOT NULL, labels TEXT[] NOT NULL, facts JSONB, digest BYTEA NOT NULL)"
            .to_owned(),
        "CREATE TABLE desks (id BIGINT PRIMARY KEY, name TEXT NOT NULL)".to_owned(),
        "CREATE TABLE couriers (id BIGINT PRIMARY KEY, desk_id BIGINT NOT NULL REFERENCES desks (id), name TEXT NOT NULL)".to_owned(),
        "INSERT INTO desks VALUES (1, 'digital-transfer'), (2, 'judgments'), (3, 'web-archive'), (4, 'newspapers')".to_owned(),
        "INSERT INTO couriers SELECT n, 1 + n % 4, 'courier ' || n FROM generate_series(1, 40) n".to_owned(),
    ];
    let rows: Vec<String> = (1..=consignments)
        .map(|id| {
            let desk = random.pick(&["digital-transfer", "judgments", "web-archive", "newspapers"]);
            let at = sql_time(now.plus_secs(-i64::try_from(random.below(7_000_000)).unwrap_or(0)));
            let facts = if id.is_multiple_of(11) {
                "NULL".to_owned()
            } else {
                format!("'{{\"pages\": {}, \"desk\": \"{desk}\"}}'", random.below(900))
            };
            let digest = hex::encode(content(&format!("consignment#{id}"), 32));
            let (bytes, sealed) = (random.below(1 << 40), random.below(3) > 0);
            format!("({id}, 'incoming/{desk}/{id:05}', '{at}+00', {bytes}.25, {sealed}, ARRAY['{desk}', 'y2026'], {facts}, '\\x{digest}')")
        })
        .collect();
    statements.extend(rows.chunks(1_000).map(|chunk| format!("INSERT INTO consignments VALUES {}", chunk.join(", "))));
    statements
}

/// The SQLite application file of the artist directory.
pub fn directory_statements(artists: u64, now: Timestamp) -> String {
    let mut random = Generator::new(0xd1e);
    let mut sql = String::from(
        "BEGIN;\n\
         CREATE TABLE artists (id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT NOT NULL, styles TEXT NOT NULL, created_at TEXT NOT NULL);\n\
         CREATE TABLE bookings (id INTEGER PRIMARY KEY, artist_id INTEGER NOT NULL REFERENCES artists (id), starts_at TEXT NOT NULL, status TEXT NOT NULL, price_minor INTEGER NOT NULL);\n",
    );
    let mut booking = 0;
    for id in 1..=artists {
        let (first, last) = (random.pick(FIRST), random.pick(LAST).replace('\'', "''"));
        let (city, style) =
            (random.pick(&["Leeds", "Bristol", "Glasgow", "Cardiff"]), random.pick(&["blackwork", "realism", "traditional", "fine line"]));
        let _ = writeln!(
            sql,
            "INSERT INTO artists VALUES ({id}, '{first} {last}', '{city}', '{style}', '{}');",
            sql_time(now.plus_secs(-86_400 * 90))
        );
        for _ in 0..3 {
            booking += 1;
            let at = sql_time(now.plus_secs(i64::try_from(random.below(86_400 * 60)).unwrap_or(0) - 86_400 * 30));
            let (status, price) = (random.pick(&["requested", "confirmed", "completed", "cancelled"]), 5_000 + random.below(60_000));
            let _ = writeln!(sql, "INSERT INTO bookings VALUES ({booking}, {id}, '{at}', '{status}', {price});");
        }
    }
    sql.push_str("COMMIT;\n");
    sql
}

/// One item of `audit-logs` in DynamoDB JSON: the partition key is the actor, the sort key a gapless sequence.
pub fn audit_item(index: u64, now: Timestamp) -> serde_json::Value {
    let mut random = Generator::new(index ^ 0xa0d1);
    let actor = format!("user-{:03}", index % 40);
    let action = random.pick(&["login", "view-account", "transfer", "update-profile", "export"]);
    let at = now.plus_secs(-86_400 + i64::try_from(index).unwrap_or(0) * 10);
    serde_json::json!({
        "actor": {"S": actor},
        "seq": {"N": (index / 40).to_string()},
        "action": {"S": action},
        "at": {"S": at.to_string()},
        "amount": {"N": format!("{}.{:02}", random.below(10_000), random.below(100))},
        "succeeded": {"BOOL": random.below(50) != 0},
        "source": {"M": {"ip": {"S": format!("203.0.113.{}", random.below(256))}, "agent": if index.is_multiple_of(9) { serde_json::json!({"NULL": true}) } else { serde_json::json!({"S": "teller/4.2"}) }}},
        "labels": {"SS": ["audit", action]},
        "digest": {"B": base64::Engine::encode(&base64::engine::general_purpose::STANDARD, content(&format!("audit#{index}"), 16))},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vault_is_the_same_every_time_and_as_large_as_promised() {
        let keys = vault_keys();
        assert_eq!(keys, vault_keys());
        assert!(keys.len() > 2_000 && keys.iter().any(|key| key.versions == [LARGEST_OBJECT]));
        assert!(keys.iter().all(|key| key.key.len() <= 1_024 && !key.versions.is_empty()));
        assert!(keys.iter().any(|key| key.deleted) && keys.iter().any(|key| key.versions.len() > 2));
        assert_eq!(keys[0].content(0).len(), keys[0].versions[0]);
    }

    #[test]
    fn audit_items_have_unique_keys() {
        let now = Timestamp::from_secs(1_800_000_000);
        let mut seen = std::collections::BTreeSet::new();
        for index in 0..4_000 {
            let item = audit_item(index, now);
            assert!(seen.insert((item["actor"].to_string(), item["seq"].to_string())));
        }
    }
}
