//! What the account offers: avatars, workspaces, templates. Fixed, and invented.

use serde_json::{Value, json};

use super::{Answer, Desk, Outcome, Problem};

/// A thing with an id and a name for people.
struct Named {
    id: &'static str,
    name: &'static str,
}

const fn named(id: &'static str, name: &'static str) -> Named {
    Named { id, name }
}

struct Avatar {
    avatar: Named,
    kind: &'static str,
    clothes: &'static [Named],
}

/// The first is the one in the vendor's samples.
const AVATARS: [Avatar; 4] = [
    Avatar {
        avatar: named("M000045058", "Jonathan"),
        kind: "studio",
        clothes: &[named("BG00002320", "Suit"), named("BG00002321", "Knitwear")],
    },
    Avatar {
        avatar: named("M000004017", "Hannah"),
        kind: "studio",
        clothes: &[named("BG00006160", "Blazer")],
    },
    Avatar {
        avatar: named("M000052231", "Seo-yeon"),
        kind: "studio",
        clothes: &[named("BG00003305", "Business"), named("BG00003306", "Casual")],
    },
    Avatar {
        avatar: named("M000060009", "Mateo"),
        kind: "custom",
        clothes: &[named("BG00007001", "Shirt")],
    },
];

const WORKSPACES: [Named; 2] =
    [named("66f0a1b2c3d4e5f60718293c", "Team"), named("66f0a1b2c3d4e5f60718293d", "Marketing")];

const TEMPLATES_BUSINESS: [Named; 2] = [
    named("655c744d2b4d3b4051400be0", "Product intro"),
    named("655c744d2b4d3b4051400be1", "Weekly news"),
];

const TEMPLATES_AUTOMATION: [Named; 2] = [
    named("69af77d4e37ba7022906aaaa", "PPT right top"),
    named("69af77d4e37ba7022906bbbb", "PPT left"),
];

pub(super) fn knows_template(id: &str) -> bool {
    TEMPLATES_BUSINESS.iter().chain(&TEMPLATES_AUTOMATION).any(|known| known.id == id)
}

/// The avatar and clothes that stand in where a request names none.
pub(super) fn default_avatar() -> (&'static str, &'static str) {
    (AVATARS[0].avatar.id, AVATARS[0].clothes[0].id)
}

impl Desk<'_> {
    pub(super) fn model_page(&self) -> Outcome {
        if !self.switches.catalogue.model_page {
            return Err(Problem::not_found("endpoint"));
        }
        let models: Vec<_> = AVATARS.iter().map(full_model).collect();
        Ok(Answer::data(json!({ "models": models })))
    }

    pub(super) fn models(&self) -> Answer {
        let items = AVATARS.iter().map(|Avatar { avatar, kind, clothes }| {
            let label = format!("{} ({})", avatar.name, clothes[0].name);
            json!({"id": avatar.id, "label": label, "avatarType": kind})
        });
        Answer::catalogue(items.collect(), "models", self.switches.catalogue.models)
    }

    pub(super) fn workspaces(&self) -> Answer {
        let item = |one: &Named| json!({"workspaceId": one.id, "workspaceName": one.name});
        let items = WORKSPACES.iter().map(item).collect();
        Answer::catalogue(items, "workspaces", self.switches.catalogue.workspaces)
    }

    pub(super) fn templates_business(&self) -> Answer {
        let item = |one: &Named| json!({"id": one.id, "name": one.name});
        let items = TEMPLATES_BUSINESS.iter().map(item).collect();
        Answer::catalogue(items, "templates", self.switches.catalogue.templates_business)
    }

    pub(super) fn templates_automation(&self) -> Answer {
        let item = |Named { id, name }: &Named| {
            let thumbnail = picture(id);
            json!({"id": id, "name": name, "thumbnailUrl": thumbnail})
        };
        let items = TEMPLATES_AUTOMATION.iter().map(item).collect();
        Answer::catalogue(items, "templates", self.switches.catalogue.templates_automation)
    }
}

fn full_model(Avatar { avatar, clothes, .. }: &Avatar) -> Value {
    let item = |one: &Named| {
        let label = json!({"ko": one.name, "en": one.name});
        json!({"id": one.id, "label": label, "thumbnail": picture(one.id)})
    };
    let mut model = item(avatar);
    model["clothes"] = clothes.iter().map(item).collect();
    model
}

fn picture(id: &str) -> String {
    format!("https://cdn.sandbox.invalid/{id}.png")
}
