//! Seeded randomness that can be replayed.
//!
//! Every value is a pure function of the seed and of its purpose, so one seed gives one course of events
//! in whatever order requests arrive. Nothing here keeps state, and nothing here is fit for secrets.

/// A source of random values. Copying it changes nothing: it has no position.
#[derive(Clone, Copy, Debug)]
pub(super) struct SeededRng {
    seed: u64,
}

impl SeededRng {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed: mix_bits(seed ^ 0x05a1_15ca_11c5_ee70) }
    }

    /// Returns the value for `what` at `place`: all 64 bits are uniform.
    pub(super) fn draw_u64(self, what: &str, place: u64) -> u64 {
        mix_bits(self.seed ^ mix_bits(hash64(what.as_bytes()) ^ mix_bits(place)))
    }

    /// Returns the value as a number in `0.0..1.0`.
    pub(super) fn draw_fraction(self, what: &str, place: u64) -> f64 {
        // 53 bits are what a double holds exactly.
        (self.draw_u64(what, place) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Returns a number in `low..=high`; `low` when the range is empty.
    pub(super) fn draw_in_range(self, what: &str, place: u64, low: u64, high: u64) -> u64 {
        match high.checked_sub(low) {
            Some(width) if width < u64::MAX => low + self.draw_u64(what, place) % (width + 1),
            Some(_) | None => low,
        }
    }
}

/// Returns a 64-bit hash of these bytes.
pub(super) fn hash64(bytes: &[u8]) -> u64 {
    let hash = blake3::hash(bytes);
    let mut word = [0; 8];
    word.copy_from_slice(&hash.as_bytes()[..8]);
    u64::from_le_bytes(word)
}

/// The finaliser of `SplitMix64`: each bit of the input moves half of the output.
fn mix_bits(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_repeats_its_values_and_another_seed_differs() {
        let story =
            |seed| (0..8).map(|n| SeededRng::new(seed).draw_u64("x", n)).collect::<Vec<_>>();
        assert_eq!(story(7), story(7));
        assert_ne!(story(7), story(8));
    }

    #[test]
    fn values_are_spread_evenly() {
        let rng = SeededRng::new(1);
        let low = (0..10_000).filter(|n| rng.draw_fraction("x", *n) < 0.05).count();
        assert!((400..600).contains(&low), "{low} of 10000 under 0.05");
    }

    #[test]
    fn values_stay_in_the_range_and_an_empty_range_gives_its_lower_end() {
        let rng = SeededRng::new(1);
        assert!((0..1000).all(|n| (60..=600).contains(&rng.draw_in_range("x", n, 60, 600))));
        assert_eq!(rng.draw_in_range("x", 0, 9, 3), 9);
    }
}
