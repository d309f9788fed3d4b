//! The signed links behind which finished videos are, and when they expire.
//!
//! Invariant: a link that was just read works for at least half of its lifetime.

use std::fmt::Write as _;

use super::rng::SeededRng;

/// Creates and checks download links.
#[derive(Debug)]
pub(super) struct DownloadLinks {
    /// `http://127.0.0.1:PORT`, never the API's.
    pub(super) origin: String,
    pub(super) rng: SeededRng,
}

impl DownloadLinks {
    /// Returns the link to a project's file as of `now`.
    ///
    /// It first expires `ttl_hours` after the render finished; from half of its lifetime on, a read returns
    /// the next one. So a link that was just read always works for at least half the time.
    pub(super) fn current_link(&self, id: &str, end: i64, now: i64, ttl_hours: f64) -> String {
        let half_ms = ((ttl_hours * 1_800_000.0) as i64).max(1);
        let expires = end + ((now - end).max(0) / half_ms + 2) * half_ms;
        let mut link = format!("{}/export/{id}.mp4?expires={expires}", self.origin);
        let _ = write!(link, "&signature={:016x}", self.sign(id, expires));
        link
    }

    /// Returns when a link expires, if this sandbox signed it.
    pub(super) fn verified_expiry(&self, id: &str, expires: &str, signature: &str) -> Option<i64> {
        let expires = expires.parse().ok()?;
        (signature == format!("{:016x}", self.sign(id, expires))).then_some(expires)
    }

    fn sign(&self, id: &str, expires: i64) -> u64 {
        self.rng.draw_u64(id, expires as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_expires_after_its_lifetime_and_is_renewed_at_half_of_it() {
        let links = DownloadLinks { origin: "http://d".to_owned(), rng: SeededRng::new(1) };
        let hour = 3_600_000;
        let expires = |now| {
            let link = links.current_link("p", 0, now, 24.0);
            link.split_once("expires=").unwrap().1.split_once('&').unwrap().0.to_owned()
        };
        assert_eq!(expires(0), (24 * hour).to_string());
        assert_eq!(expires(11 * hour), (24 * hour).to_string());
        assert_eq!(expires(13 * hour), (36 * hour).to_string());
        assert_eq!(links.verified_expiry("p", "5", "forged"), None);
    }
}
