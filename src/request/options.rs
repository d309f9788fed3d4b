//! The `options` of the three kinds that AI Studios generates (pages `scripts-to-video`,
//! `topic-to-video`, `url-to-video`).

use super::{FieldSpec, FieldType, optional};

const COMMON_OPTIONS: [FieldSpec; 12] = [
    optional("language", FieldType::Text),
    optional("duration", FieldType::DurationSeconds(&[30, 60, 90, 120, 150, 180])),
    optional("objective", FieldType::Text),
    optional("audience", FieldType::Text),
    optional("tone", FieldType::Text),
    optional("speed", FieldType::NumberRange(0.5, 1.5)),
    optional("media", FieldType::OneOf(&["search", "free", "premium", "generative"])),
    optional("useGenerativeHighQuality", FieldType::Bool),
    optional(
        "style",
        FieldType::OneOf(&[
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
    optional("templateId", FieldType::Text),
    optional("model", FieldType::Text),
    optional("voiceOnly", FieldType::Bool),
];

/// The options of all generated kinds.
pub(super) static GENERATION_OPTIONS: [FieldSpec; 12] = COMMON_OPTIONS;

/// The options of generated scripts, which may be rewritten or kept.
pub(super) static SCRIPT_GENERATION_OPTIONS: [FieldSpec; 13] = {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = COMMON_OPTIONS;
    [
        a,
        b,
        c,
        d,
        e,
        f,
        g,
        h,
        i,
        j,
        k,
        l,
        optional("scriptOption", FieldType::OneOf(&["ai", "original"])),
    ]
};
