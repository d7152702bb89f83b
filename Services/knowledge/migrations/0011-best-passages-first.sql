-- A search takes each term's best passages and no more: a word that stands in half of a hundred thousand passages was read
-- from end to end before.
CREATE INDEX postings_by_worth ON postings (term, workspace_id, weight DESC) INCLUDE (passage_id);
DROP INDEX postings_by_term;
