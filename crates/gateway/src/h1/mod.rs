//! A sans-IO HTTP/1.1 codec for a reverse proxy: bytes in, byte ranges and edits out.
//!
//! ```text
//! client bytes -> RequestHead (offsets into the buffer) -> write_request  -> upstream bytes
//! upstream bytes -> ResponseHead                         -> write_response -> client bytes
//! body bytes -> BodyDecoder (payload, in place)          -> BodyEncoder    -> body bytes
//! ```
//!
//! Nothing here owns a socket, a clock or a header map. A head is a list of offsets into the buffer it
//! was read from, so parsing and rewriting allocate nothing once the buffers have grown. What is not
//! clearly legal is refused (`Refusal`, `BadResponse`): agreeing by chance with the next parser in the
//! chain is how request smuggling works.

mod body;
mod bytes;
mod chunked;
mod connection;
mod edits;
mod host;
mod lines;
mod refusal;
mod request;
mod response;
mod rewrite;
mod trailers;

pub(crate) use body::{BodyDecoder, BodyEncoder};
pub(crate) use edits::{Edits, add_lines, append_line};
pub(crate) use lines::{Known, Line};
pub(crate) use refusal::{BadResponse, Refusal};
pub(crate) use request::{Framing, Method, RequestHead, Version};
pub(crate) use response::{Asked, ResponseFraming, ResponseHead};
pub(crate) use rewrite::{
    ClientSide, Identity, Persistence, Wanted, write_interim, write_request, write_response,
    write_switch,
};
pub(crate) use trailers::passable_trailers;

/// The longest head, request or response, in bytes (B16): large enough for every cookie a browser
/// keeps for a site, small enough that ten thousand half-sent heads fit into memory.
pub(crate) const HEAD_MAX: usize = 64 * 1024;
/// The most header lines in a head (B16).
pub(crate) const HEADERS_MAX: usize = 100;
/// The longest request target in bytes (B16).
pub(crate) const TARGET_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests;
