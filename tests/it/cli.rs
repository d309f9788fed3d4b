//! The real binary: what a person types, what it answers, and how it ends.

mod answered;
mod catalogues;
mod choosing;
mod deciding;
mod demo;
mod disk;
mod exits;
mod help;
mod inputs;
mod keeping;
mod morning;
mod overwriting;
mod pausing;
mod probe;
mod regions;
mod secrets;
mod several;
mod sheets;
mod shown;
mod signals;
mod spooled;
mod storyboard;
mod sweep;
mod templates;
mod variants;
mod windows;
