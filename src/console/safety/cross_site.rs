//! Whether another site made a browser send a request that changes something.
//!
//! Browsers state the origin of a request in `Sec-Fetch-Site`; over plain HTTP from another machine
//! they leave it out, and `Origin` is compared with `Host` instead. A request with neither is not
//! from a current browser, and is rejected as well. Pure.

use axum::http::{HeaderMap, HeaderName, Method, header};

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Returns whether a request must be rejected.
pub(super) fn is_cross_site(method: &Method, headers: &HeaderMap) -> bool {
    if matches!(*method, Method::GET | Method::HEAD) {
        return false;
    }
    let mut sites = headers.get_all(FETCH_SITE).iter();
    match (sites.next(), sites.next()) {
        (Some(site), None) => !matches!(site.as_bytes(), b"same-origin" | b"none"),
        (Some(_), Some(_)) => true,
        (None, _) => !is_own_origin(headers),
    }
}

fn is_own_origin(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
    let (Some(origin), Some(host)) = (text(header::ORIGIN), text(header::HOST)) else {
        return false;
    };
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejects(method: Method, pairs: &[(&'static str, &str)]) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "192.168.1.5:8780".parse().unwrap());
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        is_cross_site(&method, &headers)
    }

    #[test]
    fn a_change_is_accepted_only_from_the_console_itself() {
        for site in ["same-origin", "none"] {
            assert!(!rejects(Method::POST, &[("sec-fetch-site", site)]));
        }
        for site in ["cross-site", "same-site", "", "SAME-ORIGIN, none"] {
            let own = ("origin", "http://192.168.1.5:8780");
            assert!(rejects(Method::POST, &[("sec-fetch-site", site), own]), "{site}");
        }
        let twice = [("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")];
        assert!(rejects(Method::POST, &twice));
    }

    #[test]
    fn without_fetch_metadata_the_origin_must_be_the_host() {
        for own in ["http://192.168.1.5:8780", "https://192.168.1.5:8780"] {
            assert!(!rejects(Method::POST, &[("origin", own)]), "{own}");
        }
        for other in ["http://192.168.1.5", "http://evil.example", "null", "192.168.1.5:8780"] {
            assert!(rejects(Method::DELETE, &[("origin", other)]), "{other}");
        }
        assert!(rejects(Method::POST, &[]), "no browser sends neither");
        assert!(!rejects(Method::GET, &[("origin", "http://evil.example")]), "changes nothing");
    }
}
