//! The `options` of what AI Studios writes by itself, which its three kinds share (pages
//! `scripts-to-video`, `topic-to-video`, `url-to-video`).

use super::{Field, Want, optional};

const COMMON: [Field; 12] = [
    optional("language", Want::Text),
    optional("duration", Want::Seconds(&[30, 60, 90, 120, 150, 180])),
    optional("objective", Want::Text),
    optional("audience", Want::Text),
    optional("tone", Want::Text),
    optional("speed", Want::Between(0.5, 1.5)),
    optional("media", Want::Among(&["search", "free", "premium", "generative"])),
    optional("useGenerativeHighQuality", Want::Flag),
    optional(
        "style",
        Want::Among(&[
            "realistic",
            "digitalPainting",
            "sketch",
            "oilPainting",
            "pixelArt",
            "watercolor",
            "lowPoly",
            "cyberpunk",
            "fantasy",
            "anime",
        ]),
    ),
    optional("templateId", Want::Text),
    optional("model", Want::Text),
    optional("voiceOnly", Want::Flag),
];

/// The options of every kind of them.
pub(super) static OPTIONS: [Field; 12] = COMMON;

/// With what scripts have besides: whether they are rewritten.
pub(super) static OPTIONS_OF_SCRIPTS: [Field; 13] = {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = COMMON;
    [a, b, c, d, e, f, g, h, i, j, k, l, optional("scriptOption", Want::Among(&["ai", "original"]))]
};
