//! The faults that the sandbox can cause, by name.
//!
//! One table, and the small enums that describe each entry. `inject_fault.rs` applies them; here nothing
//! happens.

use crate::sandbox::endpoint::SandboxEndpoint;

/// Whether the work of the request is done before the fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum RequestWork {
    Skipped,
    Done,
}

/// The fault of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum ConnectionFault {
    /// Closed without a byte.
    Close,
    /// Reset without a byte.
    Reset,
    /// Closed after the status line.
    StatusLine,
    /// Closed within the body of the response.
    Truncate,
    /// Reset within the body of the response.
    TruncateReset,
    /// Kept open and silent.
    Silence,
    /// One byte at a time.
    ByteByByte,
    /// Closed right after a correct response, without announcing it.
    CloseAfterResponse,
    /// Bytes that no correct server sends.
    MalformedHttp(MalformedHttp),
}

/// Responses that violate HTTP itself.
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

/// A response that replaces the correct one.
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

/// The corruption of a correct response's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum BodyCorruption {
    Empty,
    OtherShape,
    Gzip,
    /// The file's metadata contains boxes within boxes.
    NestedBoxes,
    /// Bytes of a cache follow the file.
    TrailingBytes,
    WrongJson,
    NoId,
    WrongId,
    Huge,
}

/// The alteration of the project list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum ListAlteration {
    /// Only the oldest.
    Oldest,
    /// Only the newest.
    Newest,
    /// Names are HTML-escaped, brackets included.
    Escaped,
    /// Some are left out.
    Gaps,
    /// Names are cut off.
    Cut,
}

/// A response that is wrong, and looks right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum FalseAnswer {
    /// The project list is altered.
    AlterList(ListAlteration),
    /// The work is done, and the response declines it.
    DeclineAfterWork,
    /// A young draft is not known yet.
    HideYoungDraft,
    /// A render is reported as failed.
    ReportFailure,
    /// Responses reach other requests than their own.
    CrossResponses,
    /// A new token ends all earlier ones.
    EndOtherTokens,
}

/// What becomes of the render that a request starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum RenderFate {
    Fails,
    Stalls,
    IsSlow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum FaultEffect {
    BreakConnection(RequestWork, ConnectionFault),
    ReplaceResponse(RequestWork, ReplacementResponse),
    CorruptBody(BodyCorruption),
    /// The correct response, late.
    Latency,
    /// A finished file is on its host only some time after its link.
    LateFile,
    /// The connection closes now; the work is done later.
    DelayedWork,
    /// The work is done twice.
    RepeatedWork,
    /// The token of the request expires before it is checked.
    ExpireToken,
    /// A token is issued that no endpoint accepts.
    InvalidToken,
    /// A token is issued that cannot be a header value.
    MalformedToken,
    /// Connections are reset as they arrive.
    RefuseConnection,
    /// After this many renders the account has no credits left.
    ExhaustCredits,
    /// The response is wrong, and looks right.
    FalseAnswer(FalseAnswer),
    /// The response is correct, and the render that it starts is not as usual.
    ChangeRender(RenderFate),
}

/// Which endpoints a fault affects when the rule names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum EndpointGroup {
    /// The whole API; downloads only when named.
    Any,
    /// Requests that create a project or start a render.
    Writes,
    /// Requests that can start a render.
    Paid,
    /// Requests that only read.
    Reads,
    /// `auth/token`.
    Token,
    /// Finished files.
    Downloads,
    /// Before a request is received.
    Connections,
    /// This endpoint.
    Only(SandboxEndpoint),
}

/// The parameter that may follow `@` in a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum FaultParam {
    None,
    /// A whole number of this unit; the default when it is omitted.
    Number(u64, &'static str),
    /// One of these words; the first when it is omitted.
    Word(&'static [&'static str]),
    /// One of these statuses, the first when it is omitted; the words of the response may follow.
    Decline(&'static [u16]),
}

/// One known fault.
#[derive(Debug)]
pub struct FaultKind {
    /// Its name in a rule.
    pub name: &'static str,
    /// One line for `--help`.
    pub description: &'static str,
    pub(in crate::sandbox) default_group: EndpointGroup,
    pub(in crate::sandbox) effect: FaultEffect,
    pub(in crate::sandbox) param: FaultParam,
}

impl FaultKind {
    /// Returns which parameter may follow `@`, with what it is if it is omitted.
    pub fn describe_param(&self) -> Option<String> {
        match self.param {
            Plain => None,
            Number(default, unit) => Some(format!("@N: {unit}; default {default}")),
            Word(words) => {
                let first = words.first()?;
                Some(format!("@WORD: {}; default {first}", words.join(", ")))
            }
            Decline(statuses) => {
                let statuses: Vec<String> = statuses.iter().map(u16::to_string).collect();
                Some(format!("@STATUS:WORDS: {}", statuses.join(", ")))
            }
        }
    }
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

use EndpointGroup::{Any, Connections, Downloads, Only, Paid, Reads, Token, Writes};
use FaultEffect::{BreakConnection, CorruptBody, ReplaceResponse};
use FaultParam::{Decline, None as Plain, Number, Word};
use RequestWork::{Done, Skipped};

const DECLINES: &[u16] = &[400, 404, 403, 429, 402, 422, 401, 409];
const RETRY_AFTER_FORMATS: &[&str] = &["seconds", "date", "none", "odd"];

/// All known faults, the most important first.
#[rustfmt::skip]
pub(super) const FAULT_KINDS: &[FaultKind] = &[
    fault_kind("lost-answer", Any, BreakConnection(Done, ConnectionFault::Close), Plain,
        "the work is done and billed, the connection closes without a byte"),
    fault_kind("reset-after", Any, BreakConnection(Done, ConnectionFault::Reset), Plain,
        "the work is done and billed, the connection is reset without a byte"),
    fault_kind("truncate", Any, BreakConnection(Done, ConnectionFault::Truncate), Number(0, "bytes of body, 0 for a random number"),
        "the work is done, the response body is cut short and the connection closes"),
    fault_kind("truncate-reset", Any, BreakConnection(Done, ConnectionFault::TruncateReset),
        Number(0, "bytes of body, 0 for a random number"),
        "the work is done, the connection is reset within the response body"),
    fault_kind("status-line", Any, BreakConnection(Done, ConnectionFault::StatusLine), Plain,
        "the work is done, only the status line arrives"),
    fault_kind("hang", Any, BreakConnection(Done, ConnectionFault::Silence), Number(3600, "real seconds"),
        "the work is done, then silence"),
    fault_kind("hang-before", Any, BreakConnection(Skipped, ConnectionFault::Silence), Number(3600, "real seconds"),
        "nothing is done, then silence"),
    fault_kind("slow-loris", Any, BreakConnection(Done, ConnectionFault::ByteByByte), Number(100, "real milliseconds a byte"),
        "the work is done, the response comes one byte at a time"),
    fault_kind("latency", Any, FaultEffect::Latency, Number(250, "real milliseconds"),
        "the correct response, late"),
    fault_kind("reset-connect", Connections, FaultEffect::RefuseConnection, Plain,
        "the connection is reset before anything is read"),
    fault_kind("reset-before", Any, BreakConnection(Skipped, ConnectionFault::Reset), Plain,
        "nothing is done, the connection is reset"),
    fault_kind("close-before", Any, BreakConnection(Skipped, ConnectionFault::Close), Plain,
        "nothing is done, the connection closes without a byte"),
    fault_kind("close-idle", Any, BreakConnection(Done, ConnectionFault::CloseAfterResponse), Plain,
        "a correct response, after which the kept-alive connection closes unannounced"),
    fault_kind("late", Writes, FaultEffect::DelayedWork, Number(600, "simulated seconds"),
        "the connection closes now, the work is done later: a proxy that delayed the request"),
    fault_kind("twice", Writes, FaultEffect::RepeatedWork, Plain,
        "the work is done twice: a proxy that repeated the request"),
    fault_kind("http-500-before", Any, ReplaceResponse(Skipped, ReplacementResponse::ErrorEnvelope(500, 5000, "internal error")),
        Plain, "500, nothing is done"),
    fault_kind("http-500-after", Any, ReplaceResponse(Done, ReplacementResponse::ErrorEnvelope(500, 5000, "internal error")), Plain,
        "500, although the work is done"),
    fault_kind("502", Any, ReplaceResponse(Done, ReplacementResponse::Html(502)), Plain,
        "502 with an HTML page, although the work is done"),
    fault_kind("503", Any, ReplaceResponse(Skipped, ReplacementResponse::Unavailable), Word(RETRY_AFTER_FORMATS),
        "503 with Retry-After, nothing is done"),
    fault_kind("504", Any, ReplaceResponse(Done, ReplacementResponse::Html(504)), Plain,
        "504 with an HTML page, although the work is done"),
    fault_kind("html", Any, ReplaceResponse(Done, ReplacementResponse::Html(200)), Plain,
        "200 with an HTML page, although the work is done"),
    fault_kind("portal", Any, ReplaceResponse(Skipped, ReplacementResponse::Html(200)), Plain,
        "200 with an HTML page, nothing is done: a captive portal"),
    fault_kind("403-html", Any, ReplaceResponse(Skipped, ReplacementResponse::Html(403)), Plain,
        "403 with an HTML page, nothing is done: a firewall"),
    fault_kind("401-html", Any, ReplaceResponse(Skipped, ReplacementResponse::Html(401)), Plain,
        "401 with an HTML page, nothing is done"),
    fault_kind("refuse", Any, ReplaceResponse(Skipped, ReplacementResponse::Refusal(4000, "request refused")), Plain,
        "200 with success:false, nothing is done"),
    fault_kind("refuse-after", Any, ReplaceResponse(Done, ReplacementResponse::Refusal(5002, "already in progress")), Plain,
        "200 with success:false, although the work is done"),
    fault_kind("rate-limit", Any, ReplaceResponse(Skipped, ReplacementResponse::TooManyRequests), Word(RETRY_AFTER_FORMATS),
        "429, nothing is done"),
    fault_kind("400", Writes, ReplaceResponse(Skipped, ReplacementResponse::ErrorEnvelope(400, 4000, "bad request")), Plain,
        "400, nothing is done"),
    fault_kind("402", Paid, ReplaceResponse(Skipped, ReplacementResponse::ErrorEnvelope(402, 4020, "not enough credit")), Plain,
        "402, nothing is done"),
    fault_kind("402-after", Paid, FaultEffect::ExhaustCredits, Plain,
        "every render is rejected with 402, after as many as WHEN says"),
    fault_kind("404", Reads, ReplaceResponse(Skipped, ReplacementResponse::ErrorEnvelope(404, 4040, "not found")), Plain,
        "404 for an existing project or file"),
    fault_kind("409", Paid, ReplaceResponse(Done, ReplacementResponse::ErrorEnvelope(409, 4090, "already exporting")), Plain,
        "409, although the work is done"),
    fault_kind("422", Writes, ReplaceResponse(Skipped, ReplacementResponse::ErrorEnvelope(422, 4000, "unprocessable")), Plain,
        "422, nothing is done"),
    fault_kind("redirect-301", Any, ReplaceResponse(Done, ReplacementResponse::Redirect(301)), Plain,
        "301 to the other origin, although the work is done"),
    fault_kind("redirect-302", Any, ReplaceResponse(Done, ReplacementResponse::Redirect(302)), Plain,
        "302 to the other origin, although the work is done"),
    fault_kind("redirect-303", Any, ReplaceResponse(Done, ReplacementResponse::Redirect(303)), Plain,
        "303 to the other origin, although the work is done"),
    fault_kind("redirect-307", Any, ReplaceResponse(Skipped, ReplacementResponse::Redirect(307)), Plain,
        "307 to the other origin, nothing is done"),
    fault_kind("redirect-308", Any, ReplaceResponse(Skipped, ReplacementResponse::Redirect(308)), Plain,
        "308 to the other origin, nothing is done"),
    fault_kind("empty-body", Any, CorruptBody(BodyCorruption::Empty), Plain,
        "the work is done, the response has no body"),
    fault_kind("wrong-json", Any, CorruptBody(BodyCorruption::WrongJson), Plain,
        "the work is done, the body is null, an array, UTF-16, endlessly nested or the like"),
    fault_kind("other-shape", Any, CorruptBody(BodyCorruption::OtherShape), Word(&["extra", "nested", "case"]),
        "the work is done, the JSON has unknown keys, one more `data`, or keys in capitals"),
    fault_kind("gzip", Any, CorruptBody(BodyCorruption::Gzip), Plain,
        "the work is done, Content-Encoding says gzip, but the bytes are not compressed"),
    fault_kind("huge-body", Any, CorruptBody(BodyCorruption::Huge), Number(16, "MiB"),
        "the work is done, the correct JSON comes with megabytes of padding"),
    fault_kind("success-without-id", Writes, CorruptBody(BodyCorruption::NoId),
        Word(&["missing", "empty", "number", "null", "huge"]),
        "the work is done, success:true comes without a usable projectId"),
    fault_kind("wrong-id", Writes, CorruptBody(BodyCorruption::WrongId), Plain,
        "the work is done, the response names another project"),
    fault_kind("long-length", Any, BreakConnection(Done, ConnectionFault::MalformedHttp(MalformedHttp::LongLength)), Plain,
        "the work is done, Content-Length is longer than the body"),
    fault_kind("short-length", Any, BreakConnection(Done, ConnectionFault::MalformedHttp(MalformedHttp::ShortLength)), Plain,
        "the work is done, Content-Length is shorter than the body"),
    fault_kind("two-lengths", Any, BreakConnection(Done, ConnectionFault::MalformedHttp(MalformedHttp::TwoLengths)), Plain,
        "the work is done, two different Content-Length headers"),
    fault_kind("bad-chunk", Any, BreakConnection(Done, ConnectionFault::MalformedHttp(MalformedHttp::BadChunk)), Plain,
        "the work is done, a chunk size is not a number"),
    fault_kind("endless-body", Any, BreakConnection(Done, ConnectionFault::MalformedHttp(MalformedHttp::EndlessBody)), Plain,
        "the work is done, chunks never end"),
    fault_kind("huge-header", Any, BreakConnection(Done, ConnectionFault::MalformedHttp(MalformedHttp::HugeHeader)), Plain,
        "the work is done, a header of a megabyte comes before the response"),
    fault_kind("early-hints", Any, BreakConnection(Done, ConnectionFault::MalformedHttp(MalformedHttp::EarlyHints)), Plain,
        "ten 103 responses come before the final one"),
    fault_kind("file-late", Downloads, FaultEffect::LateFile, Number(3, "simulated seconds"),
        "404 for a finished file until so long after its render"),
    fault_kind("nested-boxes", Downloads, CorruptBody(BodyCorruption::NestedBoxes), Number(20_000, "levels"),
        "the metadata of the file contains boxes within boxes"),
    fault_kind("trailing-bytes", Downloads, CorruptBody(BodyCorruption::TrailingBytes), Plain,
        "bytes that a cache has added follow the file"),
    fault_kind("token-expires", Any, FaultEffect::ExpireToken, Plain,
        "the token of the request expires before it is checked"),
    fault_kind("refused-token", Token, FaultEffect::InvalidToken, Plain,
        "a token is issued that no endpoint accepts"),
    fault_kind("bad-token", Token, FaultEffect::MalformedToken, Plain,
        "a token is issued with a line break in it"),
    fault_kind("single-token", Token, FaultEffect::FalseAnswer(FalseAnswer::EndOtherTokens), Plain,
        "a new token ends the one before"),
    fault_kind("decline-after", Paid, FaultEffect::FalseAnswer(FalseAnswer::DeclineAfterWork), Decline(DECLINES),
        "the work is done and billed, the response declines it with this status and, after a colon, in these words (_ is a space)"),
    fault_kind("render-failed", Paid, FaultEffect::ChangeRender(RenderFate::Fails), Plain,
        "the render is accepted, and fails"),
    fault_kind("render-stalled", Paid, FaultEffect::ChangeRender(RenderFate::Stalls), Plain,
        "the render is accepted, and stops without an end"),
    fault_kind("slow-render", Paid, FaultEffect::ChangeRender(RenderFate::IsSlow), Number(10, "times as long"),
        "the render takes this many times as long"),
    fault_kind("young-draft-404", Only(SandboxEndpoint::Export), FaultEffect::FalseAnswer(FalseAnswer::HideYoungDraft),
        Number(90, "simulated seconds"),
        "404 for the export of a draft that is younger than this, nothing is done"),
    fault_kind("progress-flap", Only(SandboxEndpoint::Progress), FaultEffect::FalseAnswer(FalseAnswer::ReportFailure),
        Number(0, "simulated seconds, 0 for one response"),
        "the render is reported as failed at 0 % until so long after its start, although it continues"),
    fault_kind("list-page", Only(SandboxEndpoint::List), FaultEffect::FalseAnswer(FalseAnswer::AlterList(ListAlteration::Oldest)),
        Number(20, "projects"), "the list shows only its oldest projects, as a page would"),
    fault_kind("list-newest", Only(SandboxEndpoint::List), FaultEffect::FalseAnswer(FalseAnswer::AlterList(ListAlteration::Newest)),
        Number(20, "projects"), "the list shows only its newest projects"),
    fault_kind("list-escaped", Only(SandboxEndpoint::List), FaultEffect::FalseAnswer(FalseAnswer::AlterList(ListAlteration::Escaped)), Plain,
        "the names in the list are HTML-escaped, brackets included"),
    fault_kind("list-gaps", Only(SandboxEndpoint::List), FaultEffect::FalseAnswer(FalseAnswer::AlterList(ListAlteration::Gaps)),
        Number(40, "percent"), "the list leaves this share of the projects out"),
    fault_kind("list-cut", Only(SandboxEndpoint::List), FaultEffect::FalseAnswer(FalseAnswer::AlterList(ListAlteration::Cut)),
        Number(40, "letters"), "the names in the list are cut off after so many letters"),
    fault_kind("crossed-answers", Writes, FaultEffect::FalseAnswer(FalseAnswer::CrossResponses), Word(&["swapped", "older"]),
        "the work is done, the responses of two requests are swapped, or an older one is sent"),
];
