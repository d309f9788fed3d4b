//! `project`: a whole project with scenes, avatars and scripts (`create-project` page).

use super::{After, Carried, Form, Kind};

/// A whole project.
pub static KIND: Kind = Kind {
    word: "project",
    form: Form::Scenes,
    path: "editor/project",
    carries: &[
        Carried::Tag,
        Carried::Export,
        Carried::Resolution,
        Carried::Workspace,
        Carried::Webhook,
    ],
    after: After::Nothing,
    subject: None,
};
