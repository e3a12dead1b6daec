//! Why a message is not passed on.

/// Why a request is answered by the gateway instead of a backend. Each has a fixed status and one
/// short sentence for the client; the numbers in brackets are those of the bad-input list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Refusal {
    /// (B13) A line ends with LF alone.
    BareLf,
    /// (B13) CR without LF.
    BareCr,
    /// (B13) A control byte in a header value.
    ControlByte,
    /// (B5, B14) A header line begins with white space.
    FoldedHeader,
    /// (B14) A header line has no colon.
    HeaderWithoutColon,
    /// (B14) A header line begins with the colon.
    EmptyHeaderName,
    /// (B5) White space between name and colon.
    SpaceBeforeColon,
    /// (B13) A header name holds a byte that is not a token.
    HeaderNameByte,
    /// (B15) A header name forges a known one with `_`.
    UnderscoreName,
    /// (B16) The head is too long.
    HeadTooLarge,
    /// (B16) There are too many header lines.
    TooManyHeaders,
    /// (B16) The target is too long.
    TargetTooLong,
    /// (B17) The method is not a token.
    Method,
    /// (B17) The method is longer than any that is registered.
    MethodTooLong,
    /// (B17) CONNECT or TRACE.
    MethodNotAllowed,
    /// (B18) The version is not `HTTP/` digit `.` digit.
    Version,
    /// (B18) A version other than 1.x.
    VersionNotSupported,
    /// (B19) A byte that may not stand in a target.
    TargetByte,
    /// (B19) `%` without two hex digits, or `%00`.
    TargetPercent,
    /// (B19) Neither a path nor an absolute http URI.
    TargetForm,
    /// (B20) `..` leads above the root.
    TargetAboveRoot,
    /// (B11) No Host, two, or a malformed one.
    Host,
    /// (B12) The target's authority is not the Host.
    HostMismatch,
    /// (B1) Content-Length beside Transfer-Encoding.
    LengthAndCoding,
    /// (B2) More than one Content-Length.
    TwoLengths,
    /// (B3) Content-Length is not a number below 2^63.
    Length,
    /// (B4, B5) Transfer-Encoding is malformed or does not end in one `chunked`.
    Coding,
    /// (B4) A well-formed transfer coding that is not `chunked`.
    CodingUnknown,
    /// (B6) Transfer-Encoding in HTTP/1.0.
    CodingInHttp10,
    /// (B21) Connection is malformed or names a header that is not hop-by-hop.
    Connection,
    /// (B22) An expectation other than `100-continue`.
    Expectation,
    /// (B7, B8, B9) The chunked body breaks its grammar.
    Chunk,
    /// (B26) The head was not complete in time.
    HeadTimeout,
    /// (B26) The body did not arrive in time.
    BodyTimeout,
    /// The body is larger than its route allows.
    BodyTooLarge,
}

impl Refusal {
    /// The status a client sees.
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::HeadTimeout | Self::BodyTimeout => 408,
            Self::HeadTooLarge | Self::TooManyHeaders => 431,
            Self::BodyTooLarge => 413,
            Self::TargetTooLong => 414,
            Self::MethodNotAllowed => 405,
            Self::VersionNotSupported => 505,
            Self::MethodTooLong | Self::CodingUnknown => 501,
            Self::Expectation => 417,
            Self::BareLf
            | Self::BareCr
            | Self::ControlByte
            | Self::FoldedHeader
            | Self::HeaderWithoutColon
            | Self::EmptyHeaderName
            | Self::SpaceBeforeColon
            | Self::HeaderNameByte
            | Self::UnderscoreName
            | Self::Method
            | Self::Version
            | Self::TargetByte
            | Self::TargetPercent
            | Self::TargetForm
            | Self::TargetAboveRoot
            | Self::Host
            | Self::HostMismatch
            | Self::LengthAndCoding
            | Self::TwoLengths
            | Self::Length
            | Self::Coding
            | Self::CodingInHttp10
            | Self::Connection
            | Self::Chunk => 400,
        }
    }

    /// One sentence for the client.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::BareLf => "a line of the head ends with LF instead of CRLF",
            Self::BareCr => "a CR is not followed by LF",
            Self::ControlByte => "a header value holds a control byte",
            Self::FoldedHeader => "a header line begins with white space",
            Self::HeaderWithoutColon => "a header line has no colon",
            Self::EmptyHeaderName => "a header has no name",
            Self::SpaceBeforeColon => "white space stands between a header name and its colon",
            Self::HeaderNameByte => "a header name holds a byte that is not allowed there",
            Self::UnderscoreName => "a header name imitates a well-known one with an underscore",
            Self::HeadTooLarge => "the head is larger than 64 KiB",
            Self::TooManyHeaders => "there are more than 100 header lines",
            Self::TargetTooLong => "the target is longer than 16 KiB",
            Self::Method => "the method is not a token",
            Self::MethodTooLong => "the method is longer than 32 characters",
            Self::MethodNotAllowed => "this method is not served by a reverse proxy",
            Self::Version => "the request line does not end in HTTP/1.1",
            Self::VersionNotSupported => "this version of HTTP is not spoken here in this way",
            Self::TargetByte => "the target holds a byte that must be percent-encoded",
            Self::TargetPercent => "the target holds a broken or forbidden percent-encoding",
            Self::TargetForm => "the target is neither a path nor an http URI",
            Self::TargetAboveRoot => "the path leads above its root",
            Self::Host => "there must be exactly one well-formed Host header",
            Self::HostMismatch => "the authority of the target is not the Host",
            Self::LengthAndCoding => "Content-Length and Transfer-Encoding exclude each other",
            Self::TwoLengths => "there is more than one Content-Length",
            Self::Length => "Content-Length is not a number below 2^63",
            Self::Coding => "Transfer-Encoding must be exactly chunked",
            Self::CodingUnknown => "this transfer coding is not spoken here",
            Self::CodingInHttp10 => "HTTP/1.0 has no Transfer-Encoding",
            Self::Connection => "Connection is malformed or names an end-to-end header",
            Self::Expectation => "this expectation is not known here",
            Self::Chunk => "the chunked body breaks its grammar",
            Self::HeadTimeout => "the request head did not arrive in time",
            Self::BodyTimeout => "the request body did not arrive in time",
            Self::BodyTooLarge => "the request body is larger than allowed here",
        }
    }
}

/// Why a backend's answer is not passed on (B28). The client sees 502.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum BadResponse {
    /// It does not begin with an HTTP/1 status line.
    StatusLine,
    /// A header line is not clean; the refusal that a request would have met.
    Header(Refusal),
    /// The head is too large or has too many lines.
    HeadTooLarge,
    /// More than one Content-Length, a bad one, or one beside Transfer-Encoding.
    Length,
    /// A Transfer-Encoding other than `chunked`.
    Coding,
    /// A body where none may be: 204, 304.
    UnexpectedBody,
    /// 101 although no upgrade was asked for.
    UnaskedUpgrade,
    /// Too many 1xx answers.
    InterimStorm,
}

impl BadResponse {
    /// A closed set of words, for the log.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::StatusLine => "bad status line",
            Self::Header(_) => "bad header",
            Self::HeadTooLarge => "head too large",
            Self::Length => "bad content-length",
            Self::Coding => "bad transfer-encoding",
            Self::UnexpectedBody => "unexpected body",
            Self::UnaskedUpgrade => "unasked upgrade",
            Self::InterimStorm => "too many interim answers",
        }
    }
}
