//! The build vocabulary of this repository.

fn main() {}
