//! The user that owns the databases of a server.

/// Who owns the databases of an instance.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Master {
    /// User name.
    pub user: String,
    /// Its password; kept only until the instance exists.
    pub password: String,
    /// A database to create.
    pub database: Option<String>,
}
