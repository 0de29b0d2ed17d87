//! A drill: plan, one case, the whole run. The story of the product, told with the rooms below.
//!
//! Not here: how anything is restored, read, signed or printed.

pub mod abandon;
pub mod bring_back;
pub mod case;
pub mod context;
pub mod draw;
pub mod effort;
pub mod first_restore;
pub mod items;
pub mod ledger;
pub mod live;
pub mod manifests;
pub mod objectives;
pub mod outcome;
pub mod plan;
pub mod position;
pub mod reading;
pub mod record;
pub mod run;
pub mod sink;
pub mod standing;
