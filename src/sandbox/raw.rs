//! Malformed responses, as bytes.
//!
//! Pure: from a correct response to a broken one.

use std::io::Write as _;

use serde_json::{Map, Value, json};

use super::api::SandboxResponse;
use super::faults::MalformedHttp;
use super::wire::ResponseFault;

/// Length of an endless body: beyond every client's limit, but finite.
const ENDLESS_CHUNKS: u32 = 16_384;
const CHUNK_BYTES: usize = 16_384;

/// Returns the bytes that are sent instead of the response.
pub(super) fn malformed_response(odd: MalformedHttp, response: &SandboxResponse) -> ResponseFault {
    let body = &response.body;
    let length = |bytes: usize| format!("content-length: {bytes}\r\n");
    let (mut bytes, mut tail, mut again) = (Vec::new(), 0, 0);
    let mut head = |extra: &str| {
        let _ = write!(
            bytes,
            "HTTP/1.1 {} Rehearsed\r\ncontent-type: {}\r\n{extra}connection: close\r\n\r\n",
            response.status, response.content_type
        );
    };
    match odd {
        MalformedHttp::LongLength => head(&length(body.len() + 64)),
        MalformedHttp::ShortLength => head(&length(body.len() / 2)),
        MalformedHttp::TwoLengths => head(&(length(body.len()) + &length(body.len() / 2))),
        MalformedHttp::BadChunk | MalformedHttp::EndlessBody => {
            head("transfer-encoding: chunked\r\n");
        }
        MalformedHttp::HugeHeader => {
            let padding = "x-padding: ".to_owned() + &"a".repeat(1 << 20) + "\r\n";
            head(&(padding + &length(body.len())));
        }
        MalformedHttp::EarlyHints => {
            head(&length(body.len()));
            let hint = b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n";
            bytes = [hint.repeat(10), bytes].concat();
        }
    }
    match odd {
        MalformedHttp::BadChunk => bytes.extend_from_slice(b"zz\r\nnot a chunk\r\n"),
        MalformedHttp::EndlessBody => {
            let mut chunk = format!("{CHUNK_BYTES:x}\r\n").into_bytes();
            chunk.resize(chunk.len() + CHUNK_BYTES, b' ');
            chunk.extend_from_slice(b"\r\n");
            bytes.extend_from_slice(&chunk);
            (tail, again) = (chunk.len(), ENDLESS_CHUNKS);
        }
        MalformedHttp::LongLength
        | MalformedHttp::ShortLength
        | MalformedHttp::TwoLengths
        | MalformedHttp::HugeHeader
        | MalformedHttp::EarlyHints => bytes.extend_from_slice(body),
    }
    ResponseFault::RawBytes { bytes, sent: 0, tail_len: tail, repeats_left: again }
}

/// Returns a body that a JSON parser does not expect.
pub(super) fn wrong_json(body: &[u8], random_bits: u64) -> Vec<u8> {
    match random_bits % 9 {
        0 => b"null".to_vec(),
        1 => b"[]".to_vec(),
        2 => b"\"OK\"".to_vec(),
        3 => body[..body.len() / 2].to_vec(),
        4 => b"[".repeat(100_000),
        5 => b"{\"success\":true,\"data\":{\"progress\":NaN}}".to_vec(),
        6 => b"{\"success\":true,\"data\":{\"name\":\"caf\xe9\"}}".to_vec(),
        7 => b"{\"success\":true,\"data\":{\"name\":\"\\ud800\"}}".to_vec(),
        _ => {
            let text = String::from_utf8_lossy(body);
            let units = std::iter::once(0xfeff).chain(text.encode_utf16());
            units.flat_map(u16::to_le_bytes).collect()
        }
    }
}

/// Changes a JSON object's shape but not its meaning: `extra`, `nested` or `case`.
pub(super) fn change_json_shape(body: &mut Vec<u8>, how: &str) {
    let Ok(Value::Object(mut object)) = serde_json::from_slice(body) else { return };
    match how {
        "nested" => {
            let data = object.remove("data");
            object.insert("data".to_owned(), json!({ "data": data }));
        }
        "case" => {
            object = object.into_iter().map(|(key, value)| (key, capitalize_keys(value))).collect();
        }
        _ => {
            object.insert("requestId".to_owned(), json!("r-1"));
            if let Some(Value::Object(data)) = object.get_mut("data") {
                data.insert("unknown".to_owned(), json!({ "deep": [1, null, "x"] }));
            }
        }
    }
    *body = Value::Object(object).to_string().into_bytes();
}

/// Capitalises the keys of an object.
fn capitalize_keys(value: Value) -> Value {
    let Value::Object(fields) = value else { return value };
    let capital = |key: String| {
        let mut callbacks = key.chars();
        callbacks.next().map_or(String::new(), |first| {
            first.to_uppercase().collect::<String>() + callbacks.as_str()
        })
    };
    Value::Object(
        fields.into_iter().map(|(key, value)| (capital(key), value)).collect::<Map<_, _>>(),
    )
}

/// Returns the same JSON object with this many bytes of padding in it.
pub(super) fn pad_json(body: &[u8], bytes: usize) -> Vec<u8> {
    let padding = " ".repeat(bytes);
    match body.split_first() {
        Some((b'{', rest)) => [b"{\"padding\":\"", padding.as_bytes(), b"\",", rest].concat(),
        Some(_) | None => [padding.as_bytes(), body].concat(),
    }
}

/// Appends `levels` nested `meta` boxes to the metadata of an MP4, as a hostile host may.
pub(super) fn nest_boxes(video: &mut Vec<u8>, levels: usize) {
    const META_SIZE: usize = 12;
    let Some(found) = video.windows(4).position(|kind| kind == b"moov") else { return };
    let (start, nested) = (found - 4, levels * META_SIZE);
    let size = video[start..found].iter().fold(0, |size, byte| size << 8 | usize::from(*byte));
    let Ok(grown) = u32::try_from(size + nested) else { return };
    let sizes = (1..=levels).rev().map(|level| (level * META_SIZE) as u32);
    let boxes: Vec<u8> =
        sizes.flat_map(|size| [&size.to_be_bytes()[..], b"meta", &[0; 4]].concat()).collect();
    video[start..found].copy_from_slice(&grown.to_be_bytes());
    let end = (start + size).min(video.len());
    video.splice(end..end, boxes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_shape_keeps_the_meaning() {
        let shaped = |how| {
            let mut body = br#"{"success":true,"data":{"projectId":"p"}}"#.to_vec();
            change_json_shape(&mut body, how);
            String::from_utf8(body).unwrap()
        };
        let all = ["extra", "nested", "case"].map(shaped).join("\n");
        insta::assert_snapshot!(all, @r#"
        {"data":{"projectId":"p","unknown":{"deep":[1,null,"x"]}},"requestId":"r-1","success":true}
        {"data":{"data":{"projectId":"p"}},"success":true}
        {"data":{"ProjectId":"p"},"success":true}
        "#);
    }

    #[test]
    fn padding_keeps_an_object_an_object() {
        let padded = pad_json(br#"{"success":true}"#, 5);
        assert_eq!(padded, br#"{"padding":"     ","success":true}"#);
    }

    #[test]
    fn no_corrupted_json_contains_a_project_id() {
        let body = br#"{"success":true,"data":{"projectId":"66f0a1b2c3d4e5f60718293a"}}"#;
        for random_bits in 0..9 {
            let wrong: Result<Value, _> = serde_json::from_slice(&wrong_json(body, random_bits));
            let reported = wrong.is_ok_and(|value| value["data"]["projectId"].is_string());
            assert!(!reported, "variant {random_bits}");
        }
    }
}
