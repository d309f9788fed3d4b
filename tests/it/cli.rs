//! The real binary: what a person types, what it answers, and how it ends.

mod choosing;
mod demo;
mod disk;
mod exits;
mod help;
mod inputs;
mod secrets;
mod several;
mod shown;
mod signals;
mod storyboard;
mod templates;
