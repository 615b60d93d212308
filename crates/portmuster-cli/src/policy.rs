//! What a run must not find, and what an outcome proves about it. Pure.

mod forbidden;
mod inconclusive;

pub(crate) use self::{
    forbidden::{Forbidden, Presence, missing_verdict},
    inconclusive::Inconclusive,
};
