//! The L7 data plane.

mod h1;
pub mod budget;
pub mod choose;
pub mod health;
pub mod state;
pub mod table;
