//! Schemas and definitions.
