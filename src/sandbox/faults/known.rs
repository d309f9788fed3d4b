//! The faults that a server can cause, by name.
//!
//! One table, and the small enums that say what each entry does. `carry.rs` beside the rooms of
//! the server carries them out; here nothing happens.

/// Whether the studio does what was asked before things go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum RequestWork {
    Skipped,
    Done,
}

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum ConnectionFault {
    /// Closed without a byte.
    Close,
    /// Reset without a byte.
    Reset,
    /// Closed after the status line.
    StatusLine,
    /// Closed somewhere inside the answer's body.
    Truncate,
    /// Reset somewhere inside the answer's body.
    TruncateReset,
    /// Kept open and silent.
    Silence,
    /// One byte at a time.
    ByteByByte,
    /// Closed right after a good answer, without saying so in it.
    CloseAfterResponse,
    /// Bytes that no honest server sends.
    MalformedHttp(MalformedHttp),
}

/// Answers that break HTTP itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum MalformedHttp {
    LongLength,
    ShortLength,
    TwoLengths,
    BadChunk,
    EndlessBody,
    HugeHeader,
    EarlyHints,
}

/// An answer that takes the place of the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum ReplacementResponse {
    /// The error envelope under this status, with a code and a message.
    ErrorEnvelope(u16, i64, &'static str),
    /// `success: false` under 200.
    Refusal(i64, &'static str),
    /// An HTML page under this status.
    Html(u16),
    /// 503 with `Retry-After`.
    Unavailable,
    /// 429.
    TooManyRequests,
    /// This status, with a `Location` on the other origin.
    Redirect(u16),
}

/// What is done to a good answer's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum BodyCorruption {
    Empty,
    OtherShape,
    Gzip,
    WrongJson,
    NoId,
    WrongId,
    Huge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum FaultEffect {
    Line(RequestWork, ConnectionFault),
    ReplaceResponse(RequestWork, ReplacementResponse),
    CorruptBody(BodyCorruption),
    /// Answers late, rightly.
    Latency,
    /// The connection closes now; the work is done later.
    DelayedWork,
    /// The work is done twice.
    RepeatedWork,
    /// The token in the request dies before it is looked at.
    ExpireToken,
    /// A token is handed out that nothing accepts.
    InvalidToken,
    /// A token is handed out that is no header value.
    MalformedToken,
    /// Connections are reset as they come in.
    RefuseConnection,
    /// After so many renders the credits are gone.
    ExhaustCredits,
}

/// Which endpoints a fault meets when the rule names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum EndpointGroup {
    /// The whole API; downloads only when named.
    Any,
    /// What makes a project or starts a render.
    Writes,
    /// What can start a render.
    Paid,
    /// What only looks.
    Reads,
    /// `auth/token`.
    Token,
    /// Before there is a request to speak of.
    Connections,
}

/// What may stand after `@` in a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum FaultParam {
    None,
    /// A whole number of this unit; the default when it is left out.
    Number(u64, &'static str),
    /// One of these words; the first when it is left out.
    Word(&'static [&'static str]),
}

/// One fault of the catalogue.
#[derive(Debug)]
pub struct FaultKind {
    /// What a rule calls it.
    pub name: &'static str,
    /// One line for `--help`.
    pub description: &'static str,
    pub(in crate::sandbox) default_group: EndpointGroup,
    pub(in crate::sandbox) effect: FaultEffect,
    pub(in crate::sandbox) param: FaultParam,
}

const fn fault_kind(
    name: &'static str,
    group: EndpointGroup,
    effect: FaultEffect,
    param: FaultParam,
    meaning: &'static str,
) -> FaultKind {
    FaultKind { name, description: meaning, default_group: group, effect, param }
}

use EndpointGroup::{Any, Connections, Paid, Reads, Token, Writes};
use FaultEffect::{CorruptBody as Garbled, Line, ReplaceResponse as Instead};
use FaultParam::{None as Plain, Number, Word};
use RequestWork::{Done, Skipped};

const RETRY_AFTER_FORMATS: &[&str] = &["seconds", "date", "none", "odd"];

/// Every fault there is, the most important first.
#[rustfmt::skip]
pub(super) const FAULT_KINDS: &[FaultKind] = &[
    fault_kind("lost-answer", Any, Line(Done, ConnectionFault::Close), Plain,
        "the work is done and billed, the connection closes without a byte"),
    fault_kind("reset-after", Any, Line(Done, ConnectionFault::Reset), Plain,
        "the work is done and billed, the connection is reset without a byte"),
    fault_kind("truncate", Any, Line(Done, ConnectionFault::Truncate), Number(0, "bytes of body, 0 for a drawn one"),
        "the work is done, the answer's body is cut short and the connection closes"),
    fault_kind("truncate-reset", Any, Line(Done, ConnectionFault::TruncateReset),
        Number(0, "bytes of body, 0 for a drawn one"),
        "the work is done, the connection is reset within the answer's body"),
    fault_kind("status-line", Any, Line(Done, ConnectionFault::StatusLine), Plain,
        "the work is done, only the status line arrives"),
    fault_kind("hang", Any, Line(Done, ConnectionFault::Silence), Number(3600, "real seconds"),
        "the work is done, then silence"),
    fault_kind("hang-before", Any, Line(Skipped, ConnectionFault::Silence), Number(3600, "real seconds"),
        "nothing is done, and silence"),
    fault_kind("slow-loris", Any, Line(Done, ConnectionFault::ByteByByte), Number(100, "real milliseconds a byte"),
        "the work is done, the answer comes one byte at a time"),
    fault_kind("latency", Any, FaultEffect::Latency, Number(250, "real milliseconds"),
        "the right answer, late"),
    fault_kind("reset-connect", Connections, FaultEffect::RefuseConnection, Plain,
        "the connection is reset before anything is read"),
    fault_kind("reset-before", Any, Line(Skipped, ConnectionFault::Reset), Plain,
        "nothing is done, the connection is reset"),
    fault_kind("close-before", Any, Line(Skipped, ConnectionFault::Close), Plain,
        "nothing is done, the connection closes without a byte"),
    fault_kind("close-idle", Any, Line(Done, ConnectionFault::CloseAfterResponse), Plain,
        "a good answer, after which the kept-alive connection closes unannounced"),
    fault_kind("late", Writes, FaultEffect::DelayedWork, Number(600, "virtual seconds"),
        "the connection closes now, the work is done later: a proxy that held the request back"),
    fault_kind("twice", Writes, FaultEffect::RepeatedWork, Plain,
        "the work is done twice: a proxy that repeated the request"),
    fault_kind("http-500-before", Any, Instead(Skipped, ReplacementResponse::ErrorEnvelope(500, 5000, "internal error")),
        Plain, "500, nothing is done"),
    fault_kind("http-500-after", Any, Instead(Done, ReplacementResponse::ErrorEnvelope(500, 5000, "internal error")), Plain,
        "500, though the work is done"),
    fault_kind("502", Any, Instead(Done, ReplacementResponse::Html(502)), Plain,
        "502 with an HTML page, though the work is done"),
    fault_kind("503", Any, Instead(Skipped, ReplacementResponse::Unavailable), Word(RETRY_AFTER_FORMATS),
        "503 with Retry-After, nothing is done"),
    fault_kind("504", Any, Instead(Done, ReplacementResponse::Html(504)), Plain,
        "504 with an HTML page, though the work is done"),
    fault_kind("html", Any, Instead(Done, ReplacementResponse::Html(200)), Plain,
        "200 with an HTML page, though the work is done"),
    fault_kind("portal", Any, Instead(Skipped, ReplacementResponse::Html(200)), Plain,
        "200 with an HTML page, nothing is done: a captive portal"),
    fault_kind("403-html", Any, Instead(Skipped, ReplacementResponse::Html(403)), Plain,
        "403 with an HTML page, nothing is done: a firewall"),
    fault_kind("401-html", Any, Instead(Skipped, ReplacementResponse::Html(401)), Plain,
        "401 with an HTML page, nothing is done"),
    fault_kind("refuse", Any, Instead(Skipped, ReplacementResponse::Refusal(4000, "request refused")), Plain,
        "200 with success:false, nothing is done"),
    fault_kind("refuse-after", Any, Instead(Done, ReplacementResponse::Refusal(5002, "already in progress")), Plain,
        "200 with success:false, though the work is done"),
    fault_kind("rate-limit", Any, Instead(Skipped, ReplacementResponse::TooManyRequests), Word(RETRY_AFTER_FORMATS),
        "429, nothing is done"),
    fault_kind("400", Writes, Instead(Skipped, ReplacementResponse::ErrorEnvelope(400, 4000, "bad request")), Plain,
        "400, nothing is done"),
    fault_kind("402", Paid, Instead(Skipped, ReplacementResponse::ErrorEnvelope(402, 4020, "not enough credit")), Plain,
        "402, nothing is done"),
    fault_kind("402-after", Paid, FaultEffect::ExhaustCredits, Plain,
        "after so many renders every further one is refused with 402"),
    fault_kind("404", Reads, Instead(Skipped, ReplacementResponse::ErrorEnvelope(404, 4040, "not found")), Plain,
        "404 for what is there"),
    fault_kind("409", Paid, Instead(Done, ReplacementResponse::ErrorEnvelope(409, 4090, "already exporting")), Plain,
        "409, though the work is done"),
    fault_kind("422", Writes, Instead(Skipped, ReplacementResponse::ErrorEnvelope(422, 4000, "unprocessable")), Plain,
        "422, nothing is done"),
    fault_kind("redirect-301", Any, Instead(Done, ReplacementResponse::Redirect(301)), Plain,
        "301 to the other origin, though the work is done"),
    fault_kind("redirect-302", Any, Instead(Done, ReplacementResponse::Redirect(302)), Plain,
        "302 to the other origin, though the work is done"),
    fault_kind("redirect-303", Any, Instead(Done, ReplacementResponse::Redirect(303)), Plain,
        "303 to the other origin, though the work is done"),
    fault_kind("redirect-307", Any, Instead(Skipped, ReplacementResponse::Redirect(307)), Plain,
        "307 to the other origin, nothing is done"),
    fault_kind("redirect-308", Any, Instead(Skipped, ReplacementResponse::Redirect(308)), Plain,
        "308 to the other origin, nothing is done"),
    fault_kind("empty-body", Any, Garbled(BodyCorruption::Empty), Plain,
        "the work is done, the answer has no body"),
    fault_kind("wrong-json", Any, Garbled(BodyCorruption::WrongJson), Plain,
        "the work is done, the body is null, an array, UTF-16, endlessly nested or the like"),
    fault_kind("other-shape", Any, Garbled(BodyCorruption::OtherShape), Word(&["extra", "nested", "case"]),
        "the work is done, the JSON has unknown keys, one more `data`, or keys in capitals"),
    fault_kind("gzip", Any, Garbled(BodyCorruption::Gzip), Plain,
        "the work is done, Content-Encoding says gzip over bytes that are none"),
    fault_kind("huge-body", Any, Garbled(BodyCorruption::Huge), Number(16, "MiB"),
        "the work is done, the right JSON comes with megabytes of padding"),
    fault_kind("success-without-id", Writes, Garbled(BodyCorruption::NoId),
        Word(&["missing", "empty", "number", "null", "huge"]),
        "the work is done, success:true comes without a usable projectId"),
    fault_kind("wrong-id", Writes, Garbled(BodyCorruption::WrongId), Plain,
        "the work is done, the answer names another project"),
    fault_kind("long-length", Any, Line(Done, ConnectionFault::MalformedHttp(MalformedHttp::LongLength)), Plain,
        "the work is done, Content-Length is longer than the body"),
    fault_kind("short-length", Any, Line(Done, ConnectionFault::MalformedHttp(MalformedHttp::ShortLength)), Plain,
        "the work is done, Content-Length is shorter than the body"),
    fault_kind("two-lengths", Any, Line(Done, ConnectionFault::MalformedHttp(MalformedHttp::TwoLengths)), Plain,
        "the work is done, two different Content-Length headers"),
    fault_kind("bad-chunk", Any, Line(Done, ConnectionFault::MalformedHttp(MalformedHttp::BadChunk)), Plain,
        "the work is done, a chunk has a size that is no number"),
    fault_kind("endless-body", Any, Line(Done, ConnectionFault::MalformedHttp(MalformedHttp::EndlessBody)), Plain,
        "the work is done, chunks come for ever"),
    fault_kind("huge-header", Any, Line(Done, ConnectionFault::MalformedHttp(MalformedHttp::HugeHeader)), Plain,
        "the work is done, a header of a megabyte comes before the answer"),
    fault_kind("early-hints", Any, Line(Done, ConnectionFault::MalformedHttp(MalformedHttp::EarlyHints)), Plain,
        "ten 103 answers come before the right one"),
    fault_kind("token-expires", Any, FaultEffect::ExpireToken, Plain,
        "the token in the request dies before it is looked at"),
    fault_kind("refused-token", Token, FaultEffect::InvalidToken, Plain,
        "a token is handed out that nothing accepts"),
    fault_kind("bad-token", Token, FaultEffect::MalformedToken, Plain,
        "a token is handed out with a line break in it"),
];
