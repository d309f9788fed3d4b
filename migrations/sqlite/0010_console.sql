-- Users of the console, and the browsers in which they are signed in.
create table console_user (
    name          text    not null primary key check (length(name) between 1 and 64),
    role          text    not null check (role in ('viewer', 'reviewer', 'operator')),
    -- Argon2id, with its parameters and salt.
    password_hash text    not null check (length(password_hash) >= 32),
    created_at    integer not null
) strict, without rowid;

create table console_session (
    -- Of the secret in the cookie, which is stored nowhere.
    token_hash text    not null primary key check (length(token_hash) = 64),
    -- Null: signed in with the link that the console prints before it has users.
    user_name  text    references console_user (name) on delete cascade,
    created_at integer not null,
    used_at    integer not null,
    browser    text    not null
) strict, without rowid;
create index console_session_user on console_session (user_name);

-- The rows of one state in the order of the sheet.
create index job_in_state on job (batch_id, in_sheet, state, position);
