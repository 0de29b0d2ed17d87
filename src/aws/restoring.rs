//! What services answer to the calls that restore without a token of idempotency.

/// What came of asking for a restore.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Restoring {
    /// It was accepted: the ARN of what it makes, where the answer has one.
    Accepted(Option<String>),
    /// Something of the target's name is there. The client asks again when an answer is lost on the way, so that it may be what the first
    /// asking began.
    NameIsTaken,
}
