-- The price of a minute is learned from the last reported prices, which are few among the submissions.
create index submission_priced on submission (id) where credits > 0;
