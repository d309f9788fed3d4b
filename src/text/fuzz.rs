//! Mutated inputs for the tests of everything that reads what others wrote.
//!
//! `cargo test --lib fuzz_` gives each reader some hundred inputs. For longer, each as many minutes:
//! `CALLSHEET_FUZZ_MINUTES=10 cargo test --lib fuzz_ -- --nocapture`. A failure names the file of its
//! input; after an abort, `callsheet-fuzz-NAME.seed` in the temporary folder has its seed, and
//! `CALLSHEET_SEED` begins there.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// The size limit of an input, in bytes.
const INPUT_BYTES_MAX: usize = 1 << 20;
/// The number of inputs where no time is given.
const FEW_INPUTS: u64 = 200;

/// What is mutated, for one reader.
pub(crate) struct FuzzTarget<'t> {
    pub(crate) name: &'t str,
    /// Inputs that the reader accepts.
    pub(crate) samples: Vec<Vec<u8>>,
    /// Pieces that mean something to the reader.
    pub(crate) words: &'t [&'t [u8]],
}

impl FuzzTarget<'_> {
    /// Passes mutated inputs to `check`, which returns whether the reader accepted the input and
    /// panics if something is wrong.
    #[expect(clippy::print_stdout, reason = "the figures of a long run")]
    pub(crate) fn check_inputs(&self, mut check: impl FnMut(&[u8]) -> bool) {
        let minutes = env_number("CALLSHEET_FUZZ_MINUTES").map(|minutes| minutes * 60);
        let limit = minutes.map(Duration::from_secs);
        let (start, first) = (Instant::now(), env_number("CALLSHEET_SEED").unwrap_or(0));
        let (mut seed, mut accepted) = (first, 0_u64);
        while limit.map_or(seed - first < FEW_INPUTS, |limit| start.elapsed() < limit) {
            if limit.is_some() {
                std::fs::write(self.scratch_file("seed"), seed.to_string()).unwrap();
            }
            let input = self.mutated_input(seed);
            match catch_unwind(AssertUnwindSafe(|| check(&input))) {
                Ok(is_accepted) => accepted += u64::from(is_accepted),
                Err(panic) => {
                    let file = self.scratch_file("input");
                    std::fs::write(&file, &input).unwrap();
                    println!("{}: seed {seed} fails; its input is {}", self.name, file.display());
                    resume_unwind(panic);
                }
            }
            seed += 1;
        }
        println!("{}: {} inputs, {accepted} accepted", self.name, seed - first);
    }

    fn scratch_file(&self, kind: &str) -> std::path::PathBuf {
        std::env::temp_dir().join(format!("callsheet-fuzz-{}.{kind}", self.name))
    }

    fn mutated_input(&self, seed: u64) -> Vec<u8> {
        let mut random = StdRng::seed_from_u64(seed);
        let mut input = self.pick(&mut random).to_vec();
        for _ in 0..random.random_range(1..=8) {
            self.mutate(&mut input, &mut random);
            input.truncate(INPUT_BYTES_MAX);
        }
        input
    }

    fn pick(&self, random: &mut StdRng) -> &[u8] {
        &self.samples[random.random_range(0..self.samples.len())]
    }

    fn mutate(&self, input: &mut Vec<u8>, random: &mut StdRng) {
        let at = random.random_range(0..=input.len());
        let end = random.random_range(at..=input.len().min(at + 400));
        match random.random_range(0..9) {
            0 => input[at..end].iter_mut().take(1).for_each(|byte| *byte ^= 1 << (at % 8)),
            1 => input[at..end].iter_mut().take(1).for_each(|byte| *byte = random.random()),
            2 => {
                let number = [0, 1, 7, 8, 0x7fff_ffff, 0x8000_0000, 0xffff_fff0, u32::MAX]
                    [random.random_range(0..8)];
                let bytes = u32::to_be_bytes(number);
                input[at..end].iter_mut().zip(bytes).for_each(|(byte, new)| *byte = new);
            }
            3 if !self.words.is_empty() => {
                let word = self.words[random.random_range(0..self.words.len())];
                input.splice(at..at, word.iter().copied());
            }
            4 => drop(input.drain(at..end)),
            5 => {
                let copy = input[at..end].repeat(random.random_range(1..4));
                input.splice(at..at, copy);
            }
            6 => {
                let copy = input[at..end].repeat(random.random_range(1..400));
                input.splice(at..at, copy);
            }
            7 => {
                let other = self.pick(random);
                let from = random.random_range(0..=other.len());
                let piece = other[from..other.len().min(from + end - at)].to_vec();
                input.splice(at..end, piece);
            }
            _ => input.truncate(if random.random_range(0..8) == 0 { at } else { usize::MAX }),
        }
    }
}

fn env_number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
