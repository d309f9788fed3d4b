//! The faults that a server can cause, by name.
//!
//! One table, and the small enums that say what each entry does. `carry.rs` beside the rooms of
//! the server carries them out; here nothing happens.

/// Whether the studio does what was asked before things go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Work {
    Skipped,
    Done,
}

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Break {
    /// Closed without a byte.
    Close,
    /// Reset without a byte.
    Reset,
    /// Closed after the status line.
    StatusLine,
    /// Closed somewhere inside the answer's body.
    Cut,
    /// Reset somewhere inside the answer's body.
    CutReset,
    /// Kept open and silent.
    Silence,
    /// One byte at a time.
    Drip,
    /// Closed right after a good answer, without saying so in it.
    HangUp,
    /// Bytes that no honest server sends.
    Raw(Raw),
}

/// Answers that break HTTP itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Raw {
    LongLength,
    ShortLength,
    TwoLengths,
    BadChunk,
    Endless,
    HugeHeader,
    EarlyHints,
}

/// An answer that takes the place of the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Page {
    /// The error envelope under this status, with a code and a message.
    Envelope(u16, i64, &'static str),
    /// `success: false` under 200.
    Refusal(i64, &'static str),
    /// An HTML page under this status.
    Html(u16),
    /// 503 with `Retry-After`.
    Busy,
    /// 429.
    SlowDown,
    /// This status, with a `Location` on the other origin.
    Moved(u16),
}

/// What is done to a good answer's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Garble {
    Empty,
    OtherShape,
    Gzip,
    WrongJson,
    NoId,
    WrongId,
    Huge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Effect {
    Line(Work, Break),
    Page(Work, Page),
    Garble(Garble),
    /// Answers late, rightly.
    Latency,
    /// The connection closes now; the work is done later.
    Late,
    /// The work is done twice.
    Twice,
    /// The token in the request dies before it is looked at.
    KillToken,
    /// A token is handed out that nothing accepts.
    DeadToken,
    /// A token is handed out that is no header value.
    BrokenToken,
    /// Connections are reset as they come in.
    Refuse,
    /// After so many renders the credits are gone.
    CreditsGone,
}

/// Which endpoints a fault meets when the rule names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Group {
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
pub(in crate::sandbox) enum Param {
    None,
    /// A whole number of this unit; the default when it is left out.
    Number(u64, &'static str),
    /// One of these words; the first when it is left out.
    Word(&'static [&'static str]),
}

/// One fault of the catalogue.
#[derive(Debug)]
pub struct Known {
    /// What a rule calls it.
    pub name: &'static str,
    /// One line for `--help`.
    pub meaning: &'static str,
    pub(in crate::sandbox) group: Group,
    pub(in crate::sandbox) effect: Effect,
    pub(in crate::sandbox) param: Param,
}

const fn known(
    name: &'static str,
    group: Group,
    effect: Effect,
    param: Param,
    meaning: &'static str,
) -> Known {
    Known { name, meaning, group, effect, param }
}

use Effect::{Garble as Garbled, Line, Page as Instead};
use Group::{Any, Connections, Paid, Reads, Token, Writes};
use Param::{None as Plain, Number, Word};
use Work::{Done, Skipped};

const RETRY_WORDS: &[&str] = &["seconds", "date", "none", "odd"];

/// Every fault there is, the most important first.
#[rustfmt::skip]
pub(super) const KNOWN: &[Known] = &[
    known("lost-answer", Any, Line(Done, Break::Close), Plain,
        "the work is done and billed, the connection closes without a byte"),
    known("reset-after", Any, Line(Done, Break::Reset), Plain,
        "the work is done and billed, the connection is reset without a byte"),
    known("truncate", Any, Line(Done, Break::Cut), Number(0, "bytes of body, 0 for a drawn one"),
        "the work is done, the answer's body is cut short and the connection closes"),
    known("truncate-reset", Any, Line(Done, Break::CutReset),
        Number(0, "bytes of body, 0 for a drawn one"),
        "the work is done, the connection is reset within the answer's body"),
    known("status-line", Any, Line(Done, Break::StatusLine), Plain,
        "the work is done, only the status line arrives"),
    known("hang", Any, Line(Done, Break::Silence), Number(3600, "real seconds"),
        "the work is done, then silence"),
    known("hang-before", Any, Line(Skipped, Break::Silence), Number(3600, "real seconds"),
        "nothing is done, and silence"),
    known("slow-loris", Any, Line(Done, Break::Drip), Number(100, "real milliseconds a byte"),
        "the work is done, the answer comes one byte at a time"),
    known("latency", Any, Effect::Latency, Number(250, "real milliseconds"),
        "the right answer, late"),
    known("reset-connect", Connections, Effect::Refuse, Plain,
        "the connection is reset before anything is read"),
    known("reset-before", Any, Line(Skipped, Break::Reset), Plain,
        "nothing is done, the connection is reset"),
    known("close-before", Any, Line(Skipped, Break::Close), Plain,
        "nothing is done, the connection closes without a byte"),
    known("close-idle", Any, Line(Done, Break::HangUp), Plain,
        "a good answer, after which the kept-alive connection closes unannounced"),
    known("late", Writes, Effect::Late, Number(600, "virtual seconds"),
        "the connection closes now, the work is done later: a proxy that held the request back"),
    known("twice", Writes, Effect::Twice, Plain,
        "the work is done twice: a proxy that repeated the request"),
    known("http-500-before", Any, Instead(Skipped, Page::Envelope(500, 5000, "internal error")),
        Plain, "500, nothing is done"),
    known("http-500-after", Any, Instead(Done, Page::Envelope(500, 5000, "internal error")), Plain,
        "500, though the work is done"),
    known("502", Any, Instead(Done, Page::Html(502)), Plain,
        "502 with an HTML page, though the work is done"),
    known("503", Any, Instead(Skipped, Page::Busy), Word(RETRY_WORDS),
        "503 with Retry-After, nothing is done"),
    known("504", Any, Instead(Done, Page::Html(504)), Plain,
        "504 with an HTML page, though the work is done"),
    known("html", Any, Instead(Done, Page::Html(200)), Plain,
        "200 with an HTML page, though the work is done"),
    known("portal", Any, Instead(Skipped, Page::Html(200)), Plain,
        "200 with an HTML page, nothing is done: a captive portal"),
    known("403-html", Any, Instead(Skipped, Page::Html(403)), Plain,
        "403 with an HTML page, nothing is done: a firewall"),
    known("401-html", Any, Instead(Skipped, Page::Html(401)), Plain,
        "401 with an HTML page, nothing is done"),
    known("refuse", Any, Instead(Skipped, Page::Refusal(4000, "request refused")), Plain,
        "200 with success:false, nothing is done"),
    known("refuse-after", Any, Instead(Done, Page::Refusal(5002, "already in progress")), Plain,
        "200 with success:false, though the work is done"),
    known("rate-limit", Any, Instead(Skipped, Page::SlowDown), Word(RETRY_WORDS),
        "429, nothing is done"),
    known("400", Writes, Instead(Skipped, Page::Envelope(400, 4000, "bad request")), Plain,
        "400, nothing is done"),
    known("402", Paid, Instead(Skipped, Page::Envelope(402, 4020, "not enough credit")), Plain,
        "402, nothing is done"),
    known("402-after", Paid, Effect::CreditsGone, Plain,
        "after so many renders every further one is refused with 402"),
    known("404", Reads, Instead(Skipped, Page::Envelope(404, 4040, "not found")), Plain,
        "404 for what is there"),
    known("409", Paid, Instead(Done, Page::Envelope(409, 4090, "already exporting")), Plain,
        "409, though the work is done"),
    known("422", Writes, Instead(Skipped, Page::Envelope(422, 4000, "unprocessable")), Plain,
        "422, nothing is done"),
    known("redirect-301", Any, Instead(Done, Page::Moved(301)), Plain,
        "301 to the other origin, though the work is done"),
    known("redirect-302", Any, Instead(Done, Page::Moved(302)), Plain,
        "302 to the other origin, though the work is done"),
    known("redirect-303", Any, Instead(Done, Page::Moved(303)), Plain,
        "303 to the other origin, though the work is done"),
    known("redirect-307", Any, Instead(Skipped, Page::Moved(307)), Plain,
        "307 to the other origin, nothing is done"),
    known("redirect-308", Any, Instead(Skipped, Page::Moved(308)), Plain,
        "308 to the other origin, nothing is done"),
    known("empty-body", Any, Garbled(Garble::Empty), Plain,
        "the work is done, the answer has no body"),
    known("wrong-json", Any, Garbled(Garble::WrongJson), Plain,
        "the work is done, the body is null, an array, UTF-16, endlessly nested or the like"),
    known("other-shape", Any, Garbled(Garble::OtherShape), Word(&["extra", "nested", "case"]),
        "the work is done, the JSON has unknown keys, one more `data`, or keys in capitals"),
    known("gzip", Any, Garbled(Garble::Gzip), Plain,
        "the work is done, Content-Encoding says gzip over bytes that are none"),
    known("huge-body", Any, Garbled(Garble::Huge), Number(16, "MiB"),
        "the work is done, the right JSON comes with megabytes of padding"),
    known("success-without-id", Writes, Garbled(Garble::NoId),
        Word(&["missing", "empty", "number", "null", "huge"]),
        "the work is done, success:true comes without a usable projectId"),
    known("wrong-id", Writes, Garbled(Garble::WrongId), Plain,
        "the work is done, the answer names another project"),
    known("long-length", Any, Line(Done, Break::Raw(Raw::LongLength)), Plain,
        "the work is done, Content-Length is longer than the body"),
    known("short-length", Any, Line(Done, Break::Raw(Raw::ShortLength)), Plain,
        "the work is done, Content-Length is shorter than the body"),
    known("two-lengths", Any, Line(Done, Break::Raw(Raw::TwoLengths)), Plain,
        "the work is done, two different Content-Length headers"),
    known("bad-chunk", Any, Line(Done, Break::Raw(Raw::BadChunk)), Plain,
        "the work is done, a chunk has a size that is no number"),
    known("endless-body", Any, Line(Done, Break::Raw(Raw::Endless)), Plain,
        "the work is done, chunks come for ever"),
    known("huge-header", Any, Line(Done, Break::Raw(Raw::HugeHeader)), Plain,
        "the work is done, a header of a megabyte comes before the answer"),
    known("early-hints", Any, Line(Done, Break::Raw(Raw::EarlyHints)), Plain,
        "ten 103 answers come before the right one"),
    known("token-expires", Any, Effect::KillToken, Plain,
        "the token in the request dies before it is looked at"),
    known("refused-token", Token, Effect::DeadToken, Plain,
        "a token is handed out that nothing accepts"),
    known("bad-token", Token, Effect::BrokenToken, Plain,
        "a token is handed out with a line break in it"),
];
